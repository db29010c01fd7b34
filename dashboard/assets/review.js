// The review board: shows one crop after another, takes keys and clicks, and hands answers to Python.
// An answer gets its id here and stays in the outbox until Python says that it is stored: a rerun in the middle of a
// click, a lost connection or a reloaded tab neither loses one nor stores one twice. Texts go in as text, never as markup.

const OUTBOX = "classroom-review-outbox";
const CACHED_MAX = 80;
const HELP = [
  ["1 2 3 …", "label"], ["0", "can't tell"], ["u", "undo the newest answer"], ["j", "next"], ["k", "back"],
  ["space", "play the seconds around"], ["?", "this list"],
];

const boards = new WeakMap();

export default function ({ data, parentElement, setStateValue }) {
  const root = parentElement.querySelector(".review");
  if (!root || !data) return;
  let board = boards.get(root);
  if (!board) {
    board = openBoard(root);
    boards.set(root, board);
  }
  board.tell = (value) => setStateValue("sent", value);
  if (!board.listening) {
    document.addEventListener("keydown", board.onKey);
    board.listening = true;
  }
  take(board, data);
  paint(board);
  return () => {
    document.removeEventListener("keydown", board.onKey);
    board.listening = false;
    stop(board);
  };
}

function openBoard(root) {
  const board = { root, find: (s) => root.querySelector(s), items: [], at: 0, outbox: readOutbox(), data: null,
    answered: [], wanted: null, play: null, frame: 0, timer: null, told: "", owner: null, listening: false };
  board.onKey = (event) => press(board, event);
  board.find(".help button").addEventListener("click", () => board.find(".help").close());
  board.find(".picture").addEventListener("click", () => playAround(board));
  return board;
}

// --- what Python says ------------------------------------------------------------------------------------------------

function take(board, data) {
  const owner = JSON.stringify([data.annotator, data.rubric_id, data.blind]);
  if (board.owner !== owner) {
    board.owner = owner;
    // Who has just written their name goes on with the keys, which would else end up in the name.
    if (data.annotator && document.activeElement?.getAttribute("aria-label") === "Who is labelling") document.activeElement.blur();
    board.items = [];
    board.at = 0;
    board.answered = [];
    board.told = "";
  }
  board.data = data;
  const stored = new Set(data.stored);
  if (board.outbox.some((event) => stored.has(event.id))) {
    board.outbox = board.outbox.filter((event) => !stored.has(event.id));
    writeOutbox(board.outbox);
  }
  board.answered = data.answered;
  const known = new Set(board.items.map((item) => item.crop_id));
  for (const item of data.items) if (!known.has(item.crop_id)) board.items.push({ ...item });
  const said = new Map(data.answered.map((row) => [row.crop_id, row]));
  for (const item of board.items) {
    const row = said.get(item.crop_id);
    item.label = row ? row.label : undefined;
    if (row && row.model) item.model = row.model;
  }
  const gone = new Set(data.gone);
  board.items = board.items.filter((item) => !gone.has(item.crop_id));
  while (board.items.length > CACHED_MAX && board.at > 0) {
    board.items.shift();
    board.at -= 1;
  }
  if (board.wanted) {
    const place = board.items.findIndex((item) => item.crop_id === board.wanted);
    if (place >= 0) [board.at, board.wanted] = [place, null];
  }
  board.at = Math.min(board.at, board.items.length);
  if (data.clip && board.play && data.clip.crop_id === board.play && !board.timer) startClip(board, data.clip);
  if (board.outbox.length || board.items.length - board.at < 4) tell(board);
}

function tell(board, extra = {}) {
  const value = { events: board.outbox, held: board.items.map((item) => item.crop_id), play: board.play, ...extra };
  const key = JSON.stringify([value.events.map((event) => event.id), value.held, value.play, board.owner]);
  if (key === board.told) return;
  board.told = key;
  board.tell(value);
}

// --- what the person does --------------------------------------------------------------------------------------------

function press(board, event) {
  const { data, root } = board;
  if (!data || !root.isConnected || event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
  const target = event.composedPath()[0];
  if (target.matches?.("input:not([type=checkbox]), textarea, select, [contenteditable=true], [role=combobox]")) return;
  const help = board.find(".help");
  if (help.open && event.key !== "?") return;
  const number = Number.parseInt(event.key, 10);
  if (event.key === "0") answer(board, null);
  else if (number >= 1 && number <= data.labels.length) answer(board, data.labels[number - 1].name);
  else if (event.key === "u") undo(board);
  else if (event.key === "j") move(board, 1);
  else if (event.key === "k") move(board, -1);
  else if (event.key === " ") playAround(board);
  else if (event.key === "?") help.open ? help.close() : help.showModal();
  else return;
  event.preventDefault();
}

function answer(board, label) {
  const item = board.items[board.at];
  if (!item || board.data.locked) return;
  push(board, { id: newId(), kind: "label", crop_id: item.crop_id, label, annotator: board.data.annotator,
    blind: board.data.blind && !item.model && item.label === undefined });
  const after = board.items.findIndex((other, place) => place > board.at && said(board, other) === undefined);
  board.at = after >= 0 ? after : board.items.length;
  settle(board);
}

function undo(board) {
  const stack = undoable(board);
  const last = stack.at(-1);
  if (!last) return;
  push(board, { id: newId(), kind: "undo", of: last.id, crop_id: last.crop_id, annotator: board.data.annotator });
  const place = board.items.findIndex((item) => item.crop_id === last.crop_id);
  if (place >= 0) board.at = place;
  else board.wanted = last.crop_id;
  settle(board);
}

function move(board, step) {
  board.at = Math.max(0, Math.min(board.items.length, board.at + step));
  settle(board);
}

function push(board, event) {
  board.outbox.push(event);
  writeOutbox(board.outbox);
}

function settle(board) {
  stop(board);
  tell(board);
  paint(board);
}

// Answers of this person that can be taken back, oldest first: those stored, and those on their way.
function undoable(board) {
  const taken = new Set(board.outbox.filter((e) => e.kind === "undo").map((e) => e.of));
  const stored = board.answered.map((row) => ({ id: row.annotation_id, crop_id: row.crop_id }));
  const known = new Set(stored.map((row) => row.id));
  const waiting = board.outbox.filter((e) => e.kind === "label" && !known.has(e.id));
  return [...stored, ...waiting].filter((row) => !taken.has(row.id));
}

// The answer that counts now: a label, null for can't tell, undefined for none.
function said(board, item) {
  let value = item.label;
  for (const event of board.outbox) {
    if (event.crop_id !== item.crop_id) continue;
    value = event.kind === "label" ? event.label : undefined;
  }
  return value;
}

function readOutbox() {
  try {
    return JSON.parse(sessionStorage.getItem(OUTBOX) ?? "[]");
  } catch {
    return [];
  }
}

function writeOutbox(outbox) {
  try {
    sessionStorage.setItem(OUTBOX, JSON.stringify(outbox));
  } catch {
    // A browser that keeps nothing: the outbox lives as long as the page.
  }
}

// --- the seconds around ----------------------------------------------------------------------------------------------

function playAround(board) {
  const item = board.items[board.at];
  if (!item?.playable) return;
  if (board.timer) {
    stop(board);
    paint(board);
    return;
  }
  board.play = item.crop_id;
  if (board.data.clip?.crop_id === item.crop_id) startClip(board, board.data.clip);
  else tell(board);
  paint(board);
}

function startClip(board, clip) {
  board.frame = 0;
  board.timer = setInterval(() => {
    if (board.frame >= clip.frames.length) {
      stop(board);
      paint(board);
      return;
    }
    board.find(".picture img").src = clip.frames[board.frame];
    board.frame += 1;
    board.find(".along").style.width = `${(100 * board.frame) / clip.frames.length}%`;
  }, clip.period_ms);
}

function stop(board) {
  clearInterval(board.timer);
  board.timer = null;
  board.play = null;
  board.find(".along").style.width = "0";
}

// --- painting --------------------------------------------------------------------------------------------------------

function paint(board) {
  const { data, root, find } = board;
  const item = board.items[board.at];
  const busy = board.outbox.length > 0;
  const waits = !item && (data.left > board.outbox.filter((e) => e.kind === "label").length) && !data.locked;
  root.dataset.mode = item ? "crop" : waits ? "empty" : "done";
  root.dataset.pending = String(board.outbox.length);
  root.dataset.named = String(Boolean(data.annotator));
  root.dataset.crop = item ? item.crop_id : "";
  setText(find(".done h2"), data.done_title);
  setText(find(".done p"), data.done_advice);
  setText(find(".progress"), [`${data.mine} answered by you`, `${data.left} wait`, busy ? "storing…" : ""].filter(Boolean).join(" · "));
  paintKeys(board);
  if (item) paintItem(board, item);
}

function paintItem(board, item) {
  const { data, find } = board;
  const picture = find(".picture img");
  if (!board.timer && picture.getAttribute("src") !== item.image) picture.src = item.image;
  const play = find(".play");
  play.hidden = !item.playable || Boolean(board.timer);
  setText(play, board.play ? "loading…" : "space plays the seconds around");
  setText(find(".where"), item.where);
  setText(find(".why"), item.why);
  setText(find(".question"), data.question);
  setText(find(".trouble"), data.trouble ?? "");
  paintChoices(board, item);
  const hidden = data.blind && !item.model;
  const words = item.model ? ["The model said ", item.model.words, `, ${item.model.id}`]
    : [hidden ? "The model's answer comes after yours." : "No answer of a model is kept for this one.", "", ""];
  find(".model").replaceChildren(words[0], make("b", "", words[1]), words[2]);
}

function paintChoices(board, item) {
  const { data, find } = board;
  const group = find(".choices");
  const choices = [...data.labels, { name: null, phrase: "can't tell", key: "0" }];
  refill(group, JSON.stringify(choices), () => choices.map((choice) => {
    const button = make("button");
    button.type = "button";
    button.dataset.label = choice.name ?? "";
    if (choice.color) button.style.setProperty("--state", choice.color);
    if (choice.color) button.append(mark(choice.mark));
    button.append(make("span", "", choice.phrase), make("kbd", "", choice.key));
    button.addEventListener("click", () => answer(board, choice.name));
    return button;
  }));
  const now = said(board, item);
  [...group.children].forEach((button, i) => button.setAttribute("aria-pressed", String(now === choices[i].name)));
}

function paintKeys({ find }) {
  const keys = find(".keys");
  if (keys.childElementCount) return;
  for (const [key, words] of [["u", "undo"], ["k", "back"], ["j", "next"], ["?", "help"]]) {
    const span = make("span");
    span.append(make("kbd", "", key), ` ${words}`);
    keys.append(span);
  }
  for (const [key, words] of HELP) {
    const term = make("dt");
    term.append(make("kbd", "", key));
    find(".help dl").append(term, make("dd", "", words));
  }
}
