// Makes the upload form resumable: pieces by the tus protocol, and on where the server says.
const CHUNK_BYTES = 4 * 1024 * 1024;
const LONGEST_PAUSE_MS = 30_000;
const LOOK_EVERY_MS = 1000;
// Beside the two files; an upload that goes on keeps what was typed when it began.
const TYPED = ["version", "notes", "licence", "parent", "trained_on"];
const TUS = { "Tus-Resumable": "1.0.0" };

class Refused extends Error {}
class Withdrawn extends Error {}

const form = document.querySelector("form[data-upload]");

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
  const isLater = request.status === 429 || request.status === 409 || request.status >= 500;
  throw isLater ? new Error(detailOf(request)) : new Refused(detailOf(request));
}

const sizeOf = (bytes) => `${(bytes / 1e6).toFixed(1)} MB`;
const markOf = (file) => `${form.dataset.model}:${file.name}:${file.size}:${file.lastModified}`.slice(-200);

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
      kind: "model_version",
      model: form.dataset.model,
      ...Object.fromEntries(TYPED.map((name) => [name, form.elements[name].value])),
      manifest: (await form.elements.manifest.files[0]?.text()) ?? "",
      file_name: this.file.name,
      fingerprint: markOf(this.file),
    };
    const answer = await ask("POST", form.dataset.upload, {
      headers: { ...TUS, "Upload-Length": this.file.size, "Content-Type": "application/json" },
      body: JSON.stringify(body),
      signal: this.stop.signal,
    });
    if (answer.status !== 201) throw new Refused(detailOf(answer));
    return answer.getResponseHeader("Location");
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
  const query = new URLSearchParams({ fingerprint: markOf(file), state: "receiving" });
  const answer = await ask("GET", `${form.dataset.upload}?${query}`).catch(() => null);
  return answer?.status === 200 ? JSON.parse(answer.responseText).results[0] : undefined;
}

async function recognise() {
  const file = form.elements.file.files[0];
  const known = file && (await findKnown(file));
  for (const name of TYPED) form.elements[name].readOnly = Boolean(known);
  if (!known) return;
  for (const name of TYPED) form.elements[name].value = known.form[name] ?? "";
  form.querySelector("[data-upload-status]").textContent =
    `${sizeOf(known.received)} of this file are here already; Upload goes on from there.`;
}

async function run(upload) {
  const controls = form.querySelectorAll("input, textarea, button[type=submit]");
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
    link.href = `${form.dataset.modelPage}?version=${encodeURIComponent(done.form.version)}`;
    link.textContent = `Version ${done.form.version}`;
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
  } finally {
    withdraw.removeEventListener("click", giveUp);
  }
}

form.elements.file.addEventListener("change", recognise);
form.addEventListener("submit", (event) => {
  event.preventDefault();
  run(new Upload(form.elements.file.files[0]));
});
