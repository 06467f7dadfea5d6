// Makes an upload form resumable: pieces by the tus protocol, and on where the server says.
// The form says what it is: data-kind of the upload, data-done as the address of what comes of it.
const CHUNK_BYTES = 4 * 1024 * 1024;
const LONGEST_PAUSE_MS = 30_000;
const LOOK_EVERY_MS = 1000;
const TUS = { "Tus-Resumable": "1.0.0" };

class Refused extends Error {}
class Withdrawn extends Error {}

const form = document.querySelector("form[data-upload]");
const named = [...form.elements].filter((one) => one.name && one.name !== "csrfmiddlewaretoken");
// An upload that goes on keeps what was typed when it began.
const typed = named.filter((one) => one.type !== "file" && one.type !== "hidden");
const fixed = named.filter((one) => one.type === "hidden");
// Beside the file itself; small ones, which go along as text.
const texts = named.filter((one) => one.type === "file" && one.name !== "file");

function ask(method, url, { headers = {}, body = null, onProgress = null, signal } = {}) {
  // Fetch does not tell how much of a body was sent.
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open(method, url);
    const token = form.elements.csrfmiddlewaretoken.value;
    for (const [name, value] of Object.entries({ ...headers, "X-CSRFToken": token }))
      request.setRequestHeader(name, value);
    if (onProgress) request.upload.addEventListener("progress", (event) => onProgress(event.loaded));
    request.addEventListener("load", () => resolve(request));
    request.addEventListener("error", () => reject(new Error("The line is down.")));
    request.addEventListener("timeout", () => reject(new Error("The server does not answer.")));
    signal?.addEventListener("abort", () => { request.abort(); reject(new Withdrawn()); });
    request.timeout = 120_000;
    request.send(body);
  });
}

function detailOf(request) {
  try {
    const problem = JSON.parse(request.responseText);
    const wrong = Object.entries(problem.errors ?? {}).map(([name, [first]]) => `${name}: ${first.message ?? ""}`);
    return [problem.detail, ...wrong].join(" ");
  } catch {
    return `The server answered ${request.status}.`;
  }
}

function requireGood(request) {
  if (request.status < 400) return request;
  if (request.status === 401)
    throw new Refused("You are signed out. Sign in, open this page again and choose the same file: it goes on.");
  const isLater = request.status === 429 || request.status === 409 || request.status >= 500;
  throw isLater ? new Error(detailOf(request)) : new Refused(detailOf(request));
}

const sizeOf = (bytes) => `${(bytes / 1e6).toFixed(1)} MB`;
const valuesOf = (controls) => Object.fromEntries(controls.map((one) => [one.name, one.value]));
const markOf = (file) => `${form.dataset.mark}:${file.name}:${file.size}:${file.lastModified}`.slice(-200);
const fillIn = (pattern, values) => pattern.replace(/\{(\w+)\}/g, (_, name) => values[name] ?? "");

async function readTexts() {
  const read = texts.map(async (one) => [one.name, (await one.files[0]?.text()) ?? ""]);
  return Object.fromEntries(await Promise.all(read));
}

class Upload {
  constructor(file) {
    this.file = file;
    this.stop = new AbortController();
    this.status = form.querySelector("[data-upload-status]");
    this.holder = form.querySelector("[data-upload-progress]");
    this.bar = this.holder.querySelector("progress");
  }

  say(text, tone) {
    this.status.textContent = text;
    if (tone) this.status.dataset.tone = tone;
    this.status.className = tone ? "callout" : "";
  }

  show(sent) {
    this.holder.hidden = false;
    this.bar.value = sent / this.file.size;
    this.say(`Sent ${sizeOf(sent)} of ${sizeOf(this.file.size)}`);
  }

  async begin(known) {
    if (known) return `${form.dataset.upload}/${known.id}`;
    const body = {
      kind: form.dataset.kind,
      ...valuesOf([...fixed, ...typed]),
      ...(await readTexts()),
      file_name: this.file.name,
      fingerprint: markOf(this.file),
    };
    return requireGood(await this.announce(body)).getResponseHeader("Location");
  }

  async announce(body) {
    try {
      return await ask("POST", form.dataset.upload, {
        headers: { ...TUS, "Upload-Length": this.file.size, "Content-Type": "application/json" },
        body: JSON.stringify(body),
        signal: this.stop.signal,
      });
    } catch (error) {
      if (error instanceof Withdrawn) throw error;
      throw new Refused(`${error.message} Nothing was sent yet: press Upload again.`);
    }
  }

  async send(at) {
    let offset = null;
    let pause_ms = 1000;
    while (offset === null || offset < this.file.size) {
      try {
        offset = offset === null ? await this.where(at) : await this.sendChunk(at, offset);
        pause_ms = 1000;
        this.show(offset);
      } catch (error) {
        if (error instanceof Refused || error instanceof Withdrawn) throw error;
        this.say(`${error.message} The upload goes on by itself.`, "warn");
        await this.rest(pause_ms);
        pause_ms = Math.min(2 * pause_ms, LONGEST_PAUSE_MS);
        offset = null;
      }
    }
  }

  async where(at) {
    const answer = requireGood(await ask("HEAD", at, { headers: TUS, signal: this.stop.signal }));
    return Number(answer.getResponseHeader("Upload-Offset"));
  }

  async sendChunk(at, offset) {
    const answer = requireGood(await ask("PATCH", at, {
      headers: { ...TUS, "Upload-Offset": offset, "Content-Type": "application/offset+octet-stream" },
      body: this.file.slice(offset, offset + CHUNK_BYTES),
      onProgress: (loaded) => this.show(Math.min(offset + loaded, this.file.size)),
      signal: this.stop.signal,
    }));
    return Number(answer.getResponseHeader("Upload-Offset"));
  }

  rest(pause_ms) {
    // A line that is back, or a person who gives up, ends the pause.
    return new Promise((resolve) => {
      setTimeout(resolve, pause_ms);
      addEventListener("online", resolve, { once: true });
      this.stop.signal.addEventListener("abort", resolve, { once: true });
    });
  }

  async follow(at) {
    for (;;) {
      const answer = await ask("GET", at).catch(() => null);
      const upload = answer?.status === 200 ? JSON.parse(answer.responseText) : null;
      if (upload?.state === "done") return upload;
      if (upload && !["received", "inspecting"].includes(upload.state))
        throw new Refused(upload.problem?.detail ?? `The upload is ${upload.state}.`);
      if (upload?.state === "received") this.say("All of it is here and waits for its inspection.");
      if (upload?.state === "inspecting") this.say("All of it is here and is being inspected.");
      await this.rest(LOOK_EVERY_MS);
    }
  }
}

async function findKnown(file) {
  const wanted = { kind: form.dataset.kind, fingerprint: markOf(file), state: "receiving" };
  const query = new URLSearchParams(wanted);
  const answer = await ask("GET", `${form.dataset.upload}?${query}`).catch(() => null);
  return answer?.status === 200 ? JSON.parse(answer.responseText).results[0] : undefined;
}

function keep(isKept) {
  for (const one of typed) {
    if (one.tagName === "SELECT") one.disabled = isKept; // A select knows no other way.
    else one.readOnly = isKept;
  }
}

async function recognise() {
  const file = form.elements.file.files[0];
  const known = file && (await findKnown(file));
  keep(Boolean(known));
  if (!known) return;
  for (const one of typed) one.value = known.form[one.name] ?? "";
  form.querySelector("[data-upload-status]").textContent =
    `${sizeOf(known.received)} of this file are here already; Upload goes on from there.`;
}

async function run(upload) {
  const controls = form.querySelectorAll("input, select, textarea, button[type=submit]");
  const withdraw = form.querySelector("[data-upload-withdraw]");
  let at = null;
  const giveUp = () => upload.stop.abort();
  const setBusy = (isBusy) => {
    for (const control of controls) if (control.type !== "hidden") control.disabled = isBusy;
    withdraw.hidden = !isBusy;
  };
  withdraw.addEventListener("click", giveUp);
  setBusy(true);
  try {
    at = await upload.begin(await findKnown(upload.file));
    await upload.send(at);
    withdraw.hidden = true;
    const done = await upload.follow(at);
    upload.say("It is here. ", "good");
    const link = document.createElement("a");
    link.href = fillIn(form.dataset.done, done.form);
    link.textContent = fillIn(form.dataset.doneWords, done.form);
    upload.status.append(link);
    link.focus();
  } catch (error) {
    if (error instanceof Withdrawn) {
      if (at) await ask("DELETE", at, { headers: TUS }).catch(() => null);
      upload.say("The upload is withdrawn.");
    } else {
      upload.say(error.message, "bad");
    }
    upload.holder.hidden = true;
    setBusy(false);
    keep(false);
  } finally {
    withdraw.removeEventListener("click", giveUp);
  }
}

form.elements.file.addEventListener("change", recognise);
form.addEventListener("submit", (event) => {
  event.preventDefault();
  run(new Upload(form.elements.file.files[0]));
});
