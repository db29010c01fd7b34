// A WHIP client on werift, a WebRTC stack in TypeScript that shares no code with aiortc. Needs `npm i werift` somewhere,
// and NODE_PATH to point at its node_modules.
//
//     node werift_publisher.cjs ENDPOINT RTP_PORT CODEC
//
// Sends the RTP packets (CODEC: VP8 or H264) that come to a UDP port of this machine; the end of its input is the sign
// to leave. Prints one line of JSON for the answer, one when it is connected, one when it has left.

const dgram = require("node:dgram");
const { MediaStreamTrack, RTCPeerConnection, useH264, useVP8 } = require("werift");

const [endpoint, rtpPort, codec] = process.argv.slice(2);
const say = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);

async function main() {
  const connection = new RTCPeerConnection({ codecs: { video: [codec === "H264" ? useH264() : useVP8()] }, iceServers: [] });
  const track = new MediaStreamTrack({ kind: "video" });
  const socket = dgram.createSocket("udp4");
  socket.on("message", (packet) => track.writeRtp(packet));
  socket.bind(Number(rtpPort), "127.0.0.1");
  connection.addTransceiver(track, { direction: "sendonly" });
  await connection.setLocalDescription(await connection.createOffer());
  const answer = await fetch(endpoint, {
    method: "POST", headers: { "Content-Type": "application/sdp" }, body: connection.localDescription.sdp,
  });
  const session = new URL(answer.headers.get("Location") ?? "", endpoint);
  say({ status: answer.status, stream: answer.headers.get("Classroom-Stream"), session: session.pathname });
  if (answer.status !== 201) throw new Error(await answer.text());
  await connection.setRemoteDescription({ type: "answer", sdp: await answer.text() });
  await connected(connection);
  say({ state: connection.connectionState });
  for await (const _ of process.stdin);
  const left = await fetch(session, { method: "DELETE" });
  await connection.close();
  socket.close();
  say({ left: left.status });
}

function connected(connection) {
  if (connection.connectionState === "connected") return Promise.resolve();
  return connection.connectionStateChange.watch((state) => state === "connected", 30_000);
}

main().then(() => process.exit(0), (error) => { console.error(error); process.exit(1); });
