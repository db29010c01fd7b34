// The page: choose, preview, watch, stop. What is spoken with the monitor is in publisher.js.

import { Publisher, Refused } from "/publisher.js";

const WORDS = {
  idle: "Not sharing", connecting: "Connecting…", live: "Live", reconnecting: "Reconnecting…", failed: "Not connected",
};
const LOOK_EVERY_MS = 1000;
const LOCK_MS = 300; // a page that is being left needs a moment to let its name go
const SCREEN = { video: { frameRate: { ideal: 15, max: 30 }, width: { max: 1920 }, height: { max: 1080 } }, audio: false };
const FEWEST_FPS = 10; // a picture that is looked at is then a tenth of a second old at most
const MOST_FPS = 30;
const CAMERA = { width: { ideal: 1280 }, height: { ideal: 720 }, frameRate: { ideal: 30, max: 30 } };

const byId = (id) => document.getElementById(id);
let publisher = null;
let media = null;
let release = null; // lets our stream's name go
let token = "";
let config = { ice_servers: [], rate: 1 };

// The token comes behind the #, which is never sent; it is taken out of the address bar and kept for this tab alone.
function takeToken() {
  const given = new URLSearchParams(location.hash.slice(1)).get("token");
  if (given) {
    sessionStorage.setItem("token", given);
    history.replaceState(null, "", location.pathname);
  }
  token = sessionStorage.getItem("token") ?? "";
}

// A secret of this browser per stream name, made here: whoever shows it again goes on as the same stream.
function ticketOf(name) {
  const key = `ticket:${name}`;
  let ticket = localStorage.getItem(key);
  if (!ticket) {
    const bytes = crypto.getRandomValues(new Uint8Array(18));
    ticket = btoa(String.fromCharCode(...bytes)).replace(/\+/g, "-").replace(/\//g, "_");
    localStorage.setItem(key, ticket);
  }
  return ticket;
}

// One tab of a browser per stream name. The lock of a tab that crashed or was closed is free at once, so that the next
// tab goes on as the same stream. Gives what lets it go; null: another tab has it.
function hold(name) {
  return new Promise((resolve) => {
    const held = () => new Promise((release) => resolve(release));
    navigator.locks.request(`stream:${name}`, { signal: AbortSignal.timeout(LOCK_MS) }, held).catch(() => resolve(null));
  });
}

function streamName(kind) {
  const typed = byId("name").value.normalize("NFKD").toLowerCase().replace(/[^a-z0-9]+/g, "-");
  return typed.slice(0, 28).replace(/^-+|-+$/g, "") || kind;
}

function show(state, text = "") {
  if (state === "replaced") { stop("Sharing goes on in another tab."); return; }
  document.body.dataset.state = state;
  byId("pill-text").textContent = WORDS[state];
  const sharing = media !== null;
  document.body.toggleAttribute("data-sharing", sharing);
  byId("choose").hidden = sharing;
  byId("live").hidden = !sharing;
  byId("message").hidden = !text;
  byId("message").textContent = text;
  document.title = state === "live" ? "Live · Classroom monitor" : "Share with the classroom monitor";
}

async function readConfig() {
  const headers = token ? { Authorization: `Bearer ${token}` } : {};
  let answer;
  try {
    answer = await fetch("/config", { headers });
  } catch {
    show("failed", "The monitor does not answer. Is it running?");
    return false;
  }
  byId("token-form").hidden = answer.ok;
  byId("choose").hidden = !answer.ok;
  if (answer.status === 401) { if (token) show("idle", "This token does not fit."); byId("choose").hidden = true; return false; }
  if (!answer.ok) { show("failed", await answer.text()); return false; }
  config = await answer.json();
  const often = config.rate === 1 ? "one picture a second" : `${config.rate} pictures a second`;
  byId("rate-note").textContent = `The monitor looks at ${often}.`;
  return true;
}

async function listCameras() {
  if (!navigator.mediaDevices?.enumerateDevices) return;
  const cameras = (await navigator.mediaDevices.enumerateDevices()).filter((device) => device.kind === "videoinput");
  const select = byId("camera");
  const chosen = select.value;
  select.replaceChildren(...cameras.map((camera, index) => new Option(camera.label || `Camera ${index + 1}`, camera.deviceId)));
  if (cameras.some((camera) => camera.deviceId === chosen)) select.value = chosen;
  byId("camera-field").hidden = cameras.length < 2 || !cameras[0].label;
}

async function capture(kind, deviceId) {
  if (kind === "gallery") return navigator.mediaDevices.getDisplayMedia(SCREEN);
  const video = deviceId ? { ...CAMERA, deviceId: { exact: deviceId } } : CAMERA;
  return navigator.mediaDevices.getUserMedia({ video, audio: false });
}

async function share(kind, deviceId = "") {
  if (!navigator.mediaDevices) {
    show("failed", "This browser gives cameras and screens to secure pages only: open the page by https, or on the monitor's own computer.");
    return;
  }
  try {
    media = await capture(kind, deviceId);
  } catch (error) {
    show("idle", refusal(error, kind));
    return;
  }
  const track = media.getVideoTracks()[0];
  track.contentHint = "detail"; // small heads need every pixel; a picture a second is enough
  track.addEventListener("ended", () => stop());
  byId("preview").srcObject = media;
  byId("preview").play().catch(() => {});
  await listCameras();
  await publish(kind, deviceId);
}

async function publish(kind, deviceId) {
  show("connecting");
  const base = streamName(kind);
  const mine = sessionStorage.getItem(`stream:${base}`);
  const names = [...new Set([mine ?? base, base, ...[2, 3, 4, 5, 6, 7, 8, 9].map((n) => `${base}-${n}`)])];
  for (const name of names) {
    release = await hold(name);
    if (!release) continue;
    const fps = Math.min(MOST_FPS, Math.max(FEWEST_FPS, 5 * config.rate));
    publisher = new Publisher(media, { name, ticket: ticketOf(name), token, iceServers: config.ice_servers, fps, changed: show });
    try {
      await publisher.start();
      sessionStorage.setItem(`stream:${base}`, name);
      sessionStorage.setItem("sharing", JSON.stringify({ kind, deviceId, name: byId("name").value }));
      return;
    } catch (error) {
      if (error instanceof Refused && error.status === 409) { release(); continue; }
      await stop(error instanceof Refused ? error.message : "The monitor does not answer. Is it running?");
      return;
    }
  }
  await stop("Streams of this name are shared already. Choose another name.");
}

function refusal(error, kind) {
  if (error.name === "NotAllowedError") return kind === "gallery" ? "Nothing was chosen." : "The browser may not use the camera; allow it beside the address, then try again.";
  if (error.name === "NotFoundError") return "No camera was found. Plug one in, or share a window.";
  if (error.name === "NotReadableError") return "The camera is in use by another program. Close that one, then try again.";
  return `This cannot be shared: ${error.message}`;
}

async function stop(text = "") {
  const ending = publisher;
  publisher = null;
  media?.getTracks().forEach((track) => track.stop());
  media = null;
  byId("preview").srcObject = null;
  sessionStorage.removeItem("sharing");
  await ending?.stop();
  release?.();
  release = null;
  show(text ? "failed" : "idle", text);
}

async function look() {
  if (!publisher) return;
  const status = await publisher.status().catch(() => null);
  if (!status) return;
  byId("fact-stream").textContent = status.stream;
  byId("fact-size").textContent = status.width ? `${status.width} × ${status.height}` : "–";
  byId("fact-judged").textContent = status.judged === 1 ? "1 picture" : `${status.judged.toLocaleString()} pictures`;
  byId("fact-age").textContent = status.judged_age_s === null ? "not yet" : status.judged_age_s < 2 ? "just now" : `${Math.round(status.judged_age_s)} s ago`;
  byId("fact-dropped").textContent = status.dropped.toLocaleString();
}

// A camera goes on by itself after a reload; a window must be chosen again, browsers ask for it.
async function resume() {
  const before = JSON.parse(sessionStorage.getItem("sharing") ?? "null");
  if (!before) return;
  byId("name").value = before.name;
  if (before.kind === "camera") await share("camera", before.deviceId);
  else show("idle", "Sharing was interrupted. Choose the window again to go on.");
}

byId("share-screen").addEventListener("click", () => share("gallery"));
byId("share-camera").addEventListener("click", () => share("camera", byId("camera-field").hidden ? "" : byId("camera").value));
byId("stop").addEventListener("click", () => stop());
byId("token-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  token = byId("token").value.trim();
  if (await readConfig()) { sessionStorage.setItem("token", token); show("idle"); await resume(); }
});
addEventListener("pagehide", () => publisher?.leave());
setInterval(look, LOOK_EVERY_MS);

takeToken();
show("idle");
listCameras();
if (await readConfig()) await resume();
