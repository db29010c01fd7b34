// One stream to the monitor over WHIP (RFC 9725): connects, trickles, and connects again until it is told to stop.
// Knows no page; whoever makes one is told of changes.

const GATHER_MS = 600;
const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 8000;
const SILENCE_MS = 4000;
const ANSWER_MS = 12000;
const START_KBPS = 2500;

export class Refused extends Error {
  constructor(status, text) { super(text); this.status = status; }
}

export class Publisher {
  // stream: a MediaStream with video. name, ticket: who we are, the same after every interruption. fps: at most sent.
  constructor(stream, { name, ticket, token, iceServers, fps, changed }) {
    Object.assign(this, { stream, name, ticket, token, iceServers, fps, changed });
    this.state = "connecting";
    this.stopped = false;
    this.waitMs = FIRST_WAIT_MS;
  }

  async start() {
    await this.connect();
  }

  async stop() {
    this.stopped = true;
    clearTimeout(this.timer);
    await this.leave();
    this.tell("idle");
  }

  headers(more = {}) {
    return this.token ? { Authorization: `Bearer ${this.token}`, ...more } : more;
  }

  // A request that outlives the tab. Also for a session that was lost: else the name would wait for us for minutes.
  leave() {
    const session = this.session ?? this.lost;
    this.session = this.lost = null;
    const left = session && fetch(session, { method: "DELETE", headers: this.headers(), keepalive: true }).catch(() => {});
    this.connection?.close();
    this.connection = null;
    return Promise.resolve(left);
  }

  // One question at a time, and not for long: in a network that is cut they would pile up before what matters.
  async status() {
    const session = this.session;
    if (!session || this.asking) return null;
    this.asking = true;
    let answer;
    try {
      answer = await fetch(`${session}/status`, { headers: this.headers(), signal: AbortSignal.timeout(SILENCE_MS) });
    } finally {
      this.asking = false;
    }
    if (session !== this.session) return null; // a late answer about a connection that was given up
    if (answer.status === 410) { this.tell("replaced"); return null; }
    if (answer.status === 404) { this.again(); return null; }
    return answer.ok ? answer.json() : null;
  }

  async connect() {
    const connection = new RTCPeerConnection({ iceServers: this.iceServers, bundlePolicy: "max-bundle" });
    this.connection = connection;
    const found = [];
    let trickle = (candidate) => found.push(candidate);
    connection.onicecandidate = (event) => event.candidate && trickle(event.candidate);
    connection.onconnectionstatechange = () => this.moved(connection);
    for (const track of this.stream.getVideoTracks()) {
      connection.addTransceiver(track, { direction: "sendonly", streams: [this.stream] });
    }
    for (const sender of connection.getSenders()) await sendFewAndSharp(sender, this.fps);
    await connection.setLocalDescription(await connection.createOffer());
    await gathered(connection, GATHER_MS);
    const sent = found.length;
    const answer = await fetch(`/whip/${this.name}`, {
      method: "POST",
      headers: this.headers({ "Content-Type": "application/sdp", "Classroom-Ticket": this.ticket }),
      body: connection.localDescription.sdp,
      signal: AbortSignal.timeout(ANSWER_MS),
    });
    if (answer.status !== 201) {
      connection.close();
      throw new Refused(answer.status, await answer.text());
    }
    const session = answer.headers.get("Location");
    if (this.stopped) {
      this.session = session;
      await this.leave();
      return;
    }
    this.session = session;
    this.lost = null;
    this.etag = answer.headers.get("ETag");
    await connection.setRemoteDescription({ type: "answer", sdp: sharpFromTheStart(await answer.text()) });
    trickle = (candidate) => this.trickle(connection, [candidate]);
    if (found.length > sent) await this.trickle(connection, found.slice(sent));
  }

  async trickle(connection, candidates) {
    if (connection !== this.connection || !this.session) return;
    const ufrag = /a=ice-ufrag:(\S+)/.exec(connection.localDescription.sdp)[1];
    const lines = [`a=ice-ufrag:${ufrag}`, `a=mid:${candidates[0].sdpMid ?? 0}`];
    const body = [...lines, ...candidates.map((c) => `a=${c.candidate}`), ""].join("\r\n");
    const headers = this.headers({ "Content-Type": "application/trickle-ice-sdpfrag", "If-Match": this.etag });
    await fetch(this.session, { method: "PATCH", headers, body }).catch(() => {});
  }

  moved(connection) {
    if (connection !== this.connection || this.stopped) return;
    clearTimeout(this.timer);
    if (connection.connectionState === "connected") {
      this.waitMs = FIRST_WAIT_MS;
      this.tell("live");
    } else if (connection.connectionState === "failed") {
      this.again();
    } else if (connection.connectionState === "disconnected") {
      this.tell("reconnecting");
      this.timer = setTimeout(() => this.again(), SILENCE_MS);
    }
  }

  // A connection that failed is not mended: a new one goes on as the same stream.
  again() {
    if (this.stopped) return;
    this.tell("reconnecting");
    clearTimeout(this.timer);
    this.connection?.close();
    this.connection = null;
    this.lost = this.session ?? this.lost;
    this.session = null;
    this.timer = setTimeout(() => this.retry(), this.waitMs);
    this.waitMs = Math.min(2 * this.waitMs, LONGEST_WAIT_MS);
  }

  async retry() {
    try {
      await this.connect();
      this.timer = setTimeout(() => this.state !== "live" && this.again(), 2 * LONGEST_WAIT_MS);
    } catch (error) {
      if (error instanceof Refused && [401, 403].includes(error.status)) this.tell("failed", error.message);
      else this.again();
    }
  }

  tell(state, text = "") {
    this.state = state;
    this.changed(state, text);
  }
}

// The monitor looks at a picture a second: of fewer each is sharper, and neither side wastes a processor on the rest.
// Where the network is slow, still fewer rather than smaller ones.
async function sendFewAndSharp(sender, fps) {
  const parameters = sender.getParameters();
  parameters.degradationPreference = "maintain-resolution";
  for (const encoding of parameters.encodings) encoding.maxFramerate = fps;
  await sender.setParameters(parameters).catch(() => {});
}

// Chromium begins with 300 kbit/s and takes a minute to send faces that can be read. Too much for a network, it gives way.
function sharpFromTheStart(sdp) {
  const wish = `x-google-start-bitrate=${START_KBPS}`;
  return sdp.replace(/a=rtpmap:(\d+) (?:VP8|VP9|H264|AV1)\/90000\r\n(a=fmtp:\1 [^\r]*\r\n)?/g, (line, type, format) =>
    format ? line.replace(format, `${format.trimEnd()};${wish}\r\n`) : `${line}a=fmtp:${type} ${wish}\r\n`);
}

function gathered(connection, withinMs) {
  if (connection.iceGatheringState === "complete") return Promise.resolve();
  return new Promise((resolve) => {
    setTimeout(resolve, withinMs);
    connection.addEventListener("icegatheringstatechange", () => connection.iceGatheringState === "complete" && resolve());
  });
}
