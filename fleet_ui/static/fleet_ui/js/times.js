// "12 s ago" for people; the server sends the absolute time, so that its ETag stands still.
const steps = [
  [60, 1, "s"],
  [3600, 60, "min"],
  [86400, 3600, "h"],
  [Infinity, 86400, "d"],
];

export function relative(date, now = Date.now()) {
  const seconds = Math.round((now - date.getTime()) / 1000);
  const age = Math.abs(seconds);
  if (age < 2) return "now";
  const [, size, unit] = steps.find(([limit]) => age < limit);
  const text = `${Math.floor(age / size)} ${unit}`;
  return seconds < 0 ? `in ${text}` : `${text} ago`;
}

export function refreshTimes(root = document) {
  for (const time of root.querySelectorAll("time[data-relative]")) {
    const text = relative(new Date(time.dateTime));
    if (time.textContent !== text) time.textContent = text;
  }
}

refreshTimes();
setInterval(() => document.hidden || refreshTimes(), 5000);
