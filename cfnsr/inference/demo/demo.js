"use strict";

// The page sends a recording as the body of one request. The answer is lines of JSON: the number of recordings before
// it, the progress, and at the end a page or an error. Aborting the request cancels the prediction.
const get = id => document.getElementById(id);
const limits = { bytes: +document.body.dataset.maxBytes, mb: +document.body.dataset.maxMb, s: +document.body.dataset.maxS };
let recording = null, recorder = null, clock = 0, request = null, shownUrl = "";

function say(text) { get("status").textContent = text; }

function fail(text) {
  get("error").textContent = text;
  get("error").hidden = !text;
  if (text) get("error").scrollIntoView({ block: "nearest" });
}

function update() {
  const model = get("model").selectedOptions[0];
  document.querySelectorAll(".about").forEach(about => { about.hidden = about.id !== `about-${model.value}`; });
  const reads = (model.dataset.reads || "audio video").split(" ");
  for (const [value, needed] of [["voice", "audio"], ["face", "video"], ["", null]]) {
    const radio = document.querySelector(`input[name=only][value="${value}"]`);
    radio.disabled = needed ? !reads.includes(needed) : reads.length < 2;
  }
  if (document.querySelector("input[name=only]:checked").disabled) {
    document.querySelector("input[name=only]:enabled").checked = true;
  }
  get("predict").disabled = !recording || !model.value || request !== null || recorder !== null;
  get("cancel").hidden = request === null;
  get("camera").hidden = get("microphone").hidden = recorder !== null;
  get("stop").hidden = get("clock").hidden = recorder === null;
  get("file").disabled = recorder !== null;
}

function show(blob, name) {
  fail("");
  if (blob.size > limits.bytes) {
    fail(`The recording is larger than ${limits.mb} MB: shorten it, or start cfnsr demo with --max-mb.`);
    recording = null;
  } else {
    recording = blob;
  }
  URL.revokeObjectURL(shownUrl);
  const video = get("video");
  shownUrl = URL.createObjectURL(blob);
  video.srcObject = null;
  video.muted = false;
  video.controls = true;
  video.hidden = false;
  video.onerror = () => { video.hidden = true; };  // a format that the browser does not play
  video.onloadedmetadata = () => video.classList.toggle("sound", video.videoWidth === 0);
  video.src = shownUrl;
  get("chosen").textContent = `${name}, ${(blob.size / 1e6).toFixed(1)} MB`;
  update();
}

async function record(wanted, name) {
  fail("");
  let stream;
  try {
    stream = await navigator.mediaDevices.getUserMedia(wanted);
  } catch (error) {
    fail(`The browser gives no access to camera or microphone (${error.name}): allow it in the browser, or choose a file.`);
    return;
  }
  const parts = [];
  recorder = new MediaRecorder(stream);
  recorder.ondataavailable = event => parts.push(event.data);
  recorder.onstop = () => {
    clearInterval(clock);
    stream.getTracks().forEach(track => track.stop());
    const blob = new Blob(parts, { type: recorder.mimeType });
    recorder = null;
    show(blob, name);
    get("predict").focus();
  };
  if (wanted.video) {
    const video = get("video");
    video.removeAttribute("src");
    video.controls = false;
    video.muted = true;
    video.onloadedmetadata = null;
    video.classList.remove("sound");
    video.srcObject = stream;
    video.hidden = false;
    video.play();
  } else {
    get("video").hidden = true;
  }
  get("chosen").textContent = get("file").value = "";
  recorder.start(1000);
  const begin = performance.now();
  const tick = () => {
    const seconds = (performance.now() - begin) / 1000;
    get("clock").textContent = `${Math.floor(seconds)} s of at most ${limits.s} s`;
    if (seconds >= limits.s - 1 && recorder && recorder.state === "recording") recorder.stop();
  };
  tick();
  clock = setInterval(tick, 500);
  update();
  get("stop").focus();
}

async function* lines(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    const parts = (rest + value).split("\n");
    rest = parts.pop();
    for (const line of parts) yield JSON.parse(line);
  }
}

function follow(answer) {
  const progress = get("progress");
  if ("waiting" in answer) {
    say(`Waiting. Recordings before yours: ${answer.waiting}.`);
  } else if ("done_s" in answer) {
    progress.max = answer.of_s;
    progress.value = answer.done_s;
    say(`Predicted ${answer.done_s.toFixed(0)} of ${answer.of_s.toFixed(0)} seconds.`);
  } else if ("error" in answer) {
    fail(`${answer.error}.`);
    say("");
  } else {
    const page = get("page");
    // The frame is as high as its page, so that it needs no scrollbar of its own. The page runs no script.
    const fit = () => { page.style.height = `${page.contentDocument.documentElement.scrollHeight + 2}px`; };
    page.onload = () => {
      page.style.height = "";
      fit();
      new ResizeObserver(fit).observe(page.contentDocument.body);
    };
    page.srcdoc = answer.result;
    page.hidden = false;
    say("Done: the result is below.");
  }
}

async function predict() {
  fail("");
  say("Sending the recording.");
  get("page").hidden = true;
  get("page").removeAttribute("srcdoc");
  get("progress").removeAttribute("value");
  get("progress").hidden = false;
  request = new AbortController();
  update();
  let answered = false;
  try {
    const asked = new URLSearchParams({ model: get("model").value, only: document.querySelector("input[name=only]:checked").value });
    const response = await fetch(`predict?${asked}`, { method: "POST", body: recording, signal: request.signal });
    if (!response.ok) {
      follow(await response.json());
      answered = true;
    } else {
      for await (const answer of lines(response.body)) {
        follow(answer);
        answered = "error" in answer || "result" in answer;
      }
    }
    if (!answered) throw new Error("no answer");
  } catch (error) {
    say(request.signal.aborted ? "Cancelled." : "");
    if (!request.signal.aborted) fail("The demo does not answer: is cfnsr demo still running in its terminal?");
  }
  request = null;
  get("progress").hidden = true;
  update();
}

get("camera").onclick = () => record({ video: { width: 640, height: 480 }, audio: true }, "Recording of camera and microphone");
get("microphone").onclick = () => record({ audio: true }, "Recording of the microphone");
get("stop").onclick = () => recorder.stop();
get("file").onchange = () => { if (get("file").files.length) show(get("file").files[0], get("file").files[0].name); };
get("model").onchange = update;
get("predict").onclick = predict;
get("cancel").onclick = () => request.abort();
update();
