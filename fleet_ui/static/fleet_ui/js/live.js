// Live fragments: conditional polling that never takes focus, selection or a half-written form.
import { refreshTimes, relative } from "./times.js";

const live = () => document.getElementById("live");
const status = document.querySelector("[data-live-status]");
const banner = document.querySelector("[data-live-banner]");
let heardAt = new Date();
let etag = null;

const isPoll = (event) => event.detail.elt === live();

function isInUse(element) {
  if (element.contains(document.activeElement)) return true;
  const selection = document.getSelection();
  if (selection && !selection.isCollapsed && element.contains(selection.anchorNode)) return true;
  return [...element.querySelectorAll("input")].some((input) => input.value !== input.defaultValue);
}

function showFreshness() {
  const element = live();
  if (!element || document.hidden) return;
  const silence_s = (Date.now() - heardAt.getTime()) / 1000;
  const isStale = silence_s > 3 * Number(element.dataset.period) + 5;
  status.textContent = `Updated ${relative(heardAt)}`;
  banner.hidden = !isStale;
}

document.addEventListener("htmx:beforeRequest", (event) => {
  if (isPoll(event) && document.hidden) event.preventDefault();
});

document.addEventListener("htmx:configRequest", (event) => {
  if (isPoll(event) && etag) event.detail.headers["If-None-Match"] = etag;
});

document.addEventListener("htmx:beforeSwap", (event) => {
  const { xhr, target } = event.detail;
  if (target !== live()) return;
  if (xhr.status < 400) heardAt = new Date();
  if (xhr.status !== 200) return;
  if (isPoll(event) && isInUse(target)) {
    event.detail.shouldSwap = false; // The old ETag stays, so the next poll brings it again.
    return;
  }
  etag = xhr.getResponseHeader("ETag");
  const open = [...target.querySelectorAll("details[open][id]")].map((details) => details.id);
  document.addEventListener("htmx:afterSwap", () => {
    for (const id of open) document.getElementById(id)?.setAttribute("open", "");
    refreshTimes();
  }, { once: true });
});

document.addEventListener("visibilitychange", () => {
  if (!document.hidden && live()) htmx.trigger(live(), "refresh");
});

showFreshness();
setInterval(showFreshness, 1000);
