// Paints the room from the data that page_live.py sends whenever there is something new. It changes what changed and
// keeps the rest, so that nothing flickers. Text from outside (names) goes in through textContent alone, never as markup.
// It knows nothing of the store: all counting and wording is done in Python.

const ICONS = {
  unsure: "M8 1.6a6.4 6.4 0 1 0 0 12.8A6.4 6.4 0 0 0 8 1.6zM6.1 6.4a1.9 1.9 0 1 1 2.9 1.6c-.7.4-1 .8-1 1.5M8 11.7v.1",
  camera_off: "M2 2l12 12M5 4.5H9.5V9M9.5 11.5h-7v-7M9.5 7.2l4.5-2v5.8",
  picture_still: "M2.5 3.5h11v9h-11zM2.5 10.5l3-3 3 3 2-2 3 3",
  unidentified: "M8 8.2a2.6 2.6 0 1 0 0-5.2 2.6 2.6 0 0 0 0 5.2zM3 13.4c.6-2.3 2.3-3.4 5-3.4M11.4 10.6a1.3 1.3 0 1 1 1.6 1.3v.8M13 14.6v.1",
  opted_out: "M8 1.8l5 1.8v4c0 3.2-2 5.4-5 6.6-3-1.2-5-3.4-5-6.6v-4zM5.6 8l1.7 1.7 3.2-3.4",
  absent: "M9.5 2.5h-6v11h6M7 8h7M11.5 5.5L14 8l-2.5 2.5",
  waiting: "M8 2.2a5.8 5.8 0 1 0 0 11.6A5.8 5.8 0 0 0 8 2.2zM8 5v3.2l2.2 1.4",
};
ICONS.clock = ICONS.waiting;

const rooms = new WeakMap();

export default function ({ data, parentElement, setStateValue }) {
  const root = parentElement.querySelector(".room");
  if (!root || !data) return;
  let room = rooms.get(root);
  if (!room) {
    room = openRoom(root);
    rooms.set(root, room);
  }
  room.data = data;
  room.tell = (value) => setStateValue("sent", value);
  forgetDone(room);
  if (root.dataset.painted !== String(data.painted)) paint(room);
  return () => room.observer.disconnect();
}

function paint(room) {
  paintNow(room);
  paintControls(room);
  paintNotes(room);
  paintChart(room);
  paintStudents(room);
  paintFacts(room);
  room.root.dataset.painted = String(room.data.painted);
}

function openRoom(root) {
  const find = (selector) => root.querySelector(selector);
  const room = { root, find, tiles: new Map(), width: 0, data: null, outbox: [], tell: null };
  find(".pause").addEventListener("click", () => ask(room, { kind: room.data.pause_asked ? "resume" : "pause" }));
  find(".note").addEventListener("submit", (event) => {
    event.preventDefault();
    const input = find(".note input");
    if (input.value.trim()) ask(room, { kind: "note", text: input.value });
    input.value = "";
  });
  room.observer = new ResizeObserver(() => room.data && paintChart(room));
  room.observer.observe(find(".chart"));
  const chart = find(".chart");
  chart.addEventListener("pointermove", (event) => showTip(room, event));
  chart.addEventListener("pointerleave", () => hideTip(room));
  return room;
}

// --- what the person asks for ---------------------------------------------------------------------------------------
// Each wish has an id made here and is sent until Python says that it is done, so that none is lost or done twice.

function ask(room, wish) {
  room.outbox.push({ id: newId(), lecture: room.data.lecture, ...wish });
  room.tell([...room.outbox]);
  paintControls(room);
}

function forgetDone(room) {
  const done = new Set(room.data.done ?? []);
  if (!done.size) return;
  const left = room.outbox.filter((wish) => !done.has(wish.id));
  if (left.length === room.outbox.length) return;
  room.outbox = left;
  room.tell([...left]);
}

function correct(room, student, label) {
  if (student.correctable) ask(room, { kind: "correct", student: student.id, label });
}

function takeBack(room, student) {
  if (student.corrected) ask(room, { kind: "undo", of: student.corrected });
}

function tileKey(room, student, event) {
  if (event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
  const number = Number.parseInt(event.key, 10);
  if (number >= 1 && number <= room.data.labels.length) correct(room, student, room.data.labels[number - 1].name);
  else if (event.key === "u") takeBack(room, student);
  else return;
  event.preventDefault();
}

// --- small pieces ---------------------------------------------------------------------------------------------------

function set(node, name, value) {
  if (node.getAttribute(name) !== String(value)) node.setAttribute(name, value);
}

function icon(name) {
  const svg = drawn("svg", { class: "icon", viewBox: "0 0 16 16", "aria-hidden": "true" });
  svg.append(drawn("path", { d: ICONS[name] ?? ICONS.unsure }));
  return svg;
}

// --- the room in one sentence ---------------------------------------------------------------------------------------

function paintNow({ find, data }) {
  find(".pill").dataset.state = data.status.state;
  setText(find(".pill b"), data.status.word);
  setText(find(".context"), data.status.context);
  find(".sentence").dataset.past = data.past ? "yes" : "no";
  refill(find(".sentence"), JSON.stringify(data.sentence), () => data.sentence.map(sentencePart));
  setText(find(".aside"), data.aside);
}

function sentencePart(part) {
  const span = make("span");
  if (part.color) span.append(mark(part.mark, part.color));
  span.append(part.text);
  return span;
}

function paintControls({ find, data, outbox }) {
  const button = find(".pause");
  button.hidden = !data.running;
  button.dataset.on = data.pause_asked ? "yes" : "no";
  const waits = outbox.some((wish) => wish.kind === "pause" || wish.kind === "resume");
  button.disabled = waits;
  setText(button, waits ? "…" : data.pause_asked ? "Resume" : "Pause");
  setText(find(".alert"), data.trouble || data.alert || "");
}

function paintNotes(room) {
  refill(room.find(".notes"), JSON.stringify(room.data.notes), () => room.data.notes.map((note) => {
    const line = make("li");
    const remove = make("button", "", "×");
    remove.type = "button";
    remove.setAttribute("aria-label", `Take back the note at ${note.when}`);
    remove.addEventListener("click", () => ask(room, { kind: "unnote", of: note.id }));
    line.append(make("b", "", note.when), make("span", "", note.text), remove);
    return line;
  }));
}

// --- the last minutes -----------------------------------------------------------------------------------------------

const FOOT = 22;

function frameOf(room) {
  const box = room.find(".chart").getBoundingClientRect();
  const right = box.width > 560 ? 168 : 116;
  return { left: 36, right: Math.max(60, box.width - right), top: 6, bottom: box.height - FOOT, width: box.width };
}

function paintChart(room) {
  const { data, find } = room;
  const chart = data.chart;
  const frame = frameOf(room);
  const span = Math.max(1e-6, chart.until_s - chart.from_s);
  const x = (t) => frame.left + ((t - chart.from_s) / span) * (frame.right - frame.left);
  const y = (share) => frame.bottom - share * (frame.bottom - frame.top);
  room.scale = { x, y, frame };
  find(".chart svg").setAttribute("aria-label", data.chart.summary);
  paintGrid(find(".grid"), chart, frame, x, y);
  paintAreas(find(".areas"), chart, x, y);
  paintEnds(find(".ends"), chart, frame, y);
  paintPins(find(".pins"), data.notes, chart, frame, x);
}

// A line for each note of the stretch that is shown.
function paintPins(group, notes, chart, frame, x) {
  const shown = notes.filter((note) => note.at_s >= chart.from_s && note.at_s <= chart.until_s);
  refill(group, JSON.stringify([shown, chart.from_s, chart.until_s, frame]), () => shown.map((note) => {
    const pin = drawn("g");
    const title = drawn("title");
    title.textContent = `${note.when} ${note.text}`;
    pin.append(title, drawn("line", { x1: x(note.at_s), x2: x(note.at_s), y1: frame.top, y2: frame.bottom }),
      drawn("circle", { cx: x(note.at_s), cy: frame.top, r: 4 }));
    return pin;
  }));
}

function paintGrid(group, chart, frame, x, y) {
  const key = JSON.stringify([chart.ticks, chart.from_s, chart.until_s, frame]);
  refill(group, key, () => {
    const parts = [];
    for (const share of [0, 0.5, 1]) {
      parts.push(drawn("line", { x1: frame.left, x2: frame.right, y1: y(share), y2: y(share) }));
      const text = drawn("text", { x: frame.left - 8, y: y(share) + 4, "text-anchor": "end" });
      text.textContent = share ? `${share * 100}%` : "0";
      parts.push(text);
    }
    for (const tick of chart.ticks) {
      const at = x(tick.t);
      const anchor = at > frame.right - 12 ? "end" : at < frame.left + 12 ? "start" : "middle";
      const text = drawn("text", { x: at, y: frame.bottom + 17, "text-anchor": anchor });
      text.textContent = tick.text;
      parts.push(text);
    }
    return parts;
  });
}

function paintAreas(group, chart, x, y) {
  while (group.children.length > chart.series.length) group.lastChild.remove();
  while (group.children.length < chart.series.length) group.append(drawn("path"));
  const floor = new Array(chart.times.length).fill(0);
  chart.series.forEach((series, row) => {
    const path = group.children[row];
    const top = series.shares.map((share, i) => (share === null ? null : floor[i] + share));
    set(path, "d", areaPath(chart, floor, top, x, y));
    set(path, "class", series.color ? "" : "unsure");
    path.style.fill = series.color ?? "";
    top.forEach((value, i) => { if (value !== null) floor[i] = value; });
  });
}

// One closed outline a stretch without gaps; a stretch of one point is drawn as wide as its bin.
function areaPath(chart, low, high, x, y) {
  const half = chart.bin_s / 2;
  let path = "";
  for (let i = 0; i < high.length; i++) {
    if (high[i] === null) continue;
    let end = i;
    while (end + 1 < high.length && high[end + 1] !== null && chart.times[end + 1] - chart.times[end] < 1.5 * chart.bin_s) end++;
    const points = [[Math.max(chart.from_s, chart.times[i] - half), i]];
    for (let k = i; k <= end; k++) points.push([chart.times[k], k]);
    points.push([Math.min(chart.until_s, chart.times[end] + half), end]);
    const there = points.map(([t, k]) => `${x(t).toFixed(1)},${y(high[k]).toFixed(1)}`);
    const back = points.reverse().map(([t, k]) => `${x(t).toFixed(1)},${y(low[k]).toFixed(1)}`);
    path += `M${there.join("L")}L${back.join("L")}Z`;
    i = end;
  }
  return path;
}

function paintEnds(group, chart, frame, y) {
  const entries = chart.series
    .map((series) => ({ series, share: series.shares.at(-1) ?? 0 }))
    .filter((entry) => entry.share > 0);
  let floor = 0;
  for (const entry of entries) {
    entry.y = y(floor + entry.share / 2);
    floor += entry.share;
  }
  spread(entries, 18, frame.top + 6, frame.bottom - 4);
  refill(group, JSON.stringify([entries.map((e) => [e.series.phrase, e.share, e.y]), frame.right]), () =>
    entries.map(({ series, share, y: at }) => {
      const line = drawn("g", { transform: `translate(${frame.right + 12} ${at})` });
      const shape = drawn("path", { d: MARKS[series.mark % MARKS.length], transform: "translate(0 -5)" });
      if (series.color) shape.style.fill = series.color;
      else shape.setAttribute("class", "unsure");
      const number = drawn("text", { x: 17, y: 4.5, class: "share" });
      number.textContent = `${Math.round(share * 100)}%`;
      const word = drawn("text", { x: 54, y: 4.5 });
      word.textContent = series.phrase;
      line.append(shape, number, word);
      return line;
    }),
  );
}

// Push labels apart so that none covers its neighbour; entries go from the bottom upwards.
function spread(entries, gap, top, bottom) {
  let last = bottom + gap;
  for (const entry of entries) last = entry.y = Math.min(entry.y, last - gap);
  last = top - gap;
  for (const entry of [...entries].reverse()) last = entry.y = Math.max(entry.y, last + gap);
}

function showTip(room, event) {
  const { data, scale, find } = room;
  if (!scale || !data.chart.times.length) return;
  const at = event.clientX - find(".chart").getBoundingClientRect().left;
  let nearest = 0;
  data.chart.times.forEach((t, i) => {
    if (Math.abs(scale.x(t) - at) < Math.abs(scale.x(data.chart.times[nearest]) - at)) nearest = i;
  });
  const tip = find(".tip");
  if (at > scale.frame.right + 8 || data.chart.series[0].shares[nearest] === null) return hideTip(room);
  const here = scale.x(data.chart.times[nearest]);
  const rows = [make("div", "when", data.chart.moments[nearest])];
  for (const series of [...data.chart.series].reverse()) {
    const row = make("div");
    const share = make("em", "", `${Math.round(series.shares[nearest] * 100)}%`);
    row.append(mark(series.mark, series.color ?? "var(--unsure)"), series.phrase, share);
    rows.push(row);
  }
  tip.replaceChildren(...rows);
  tip.hidden = false;
  tip.style.left = `${Math.min(here + 12, scale.frame.width - tip.offsetWidth - 4)}px`;
  const cursor = find(".cursor");
  for (const [name, value] of [["x1", here], ["x2", here], ["y1", scale.frame.top], ["y2", scale.frame.bottom]])
    cursor.setAttribute(name, value);
  cursor.style.visibility = "visible";
}

function hideTip({ find }) {
  find(".tip").hidden = true;
  find(".cursor").style.visibility = "hidden";
}

// --- the students ---------------------------------------------------------------------------------------------------

function paintStudents(room) {
  const grid = room.find(".students");
  const { students } = room.data;
  room.find(".roomonly").hidden = !room.data.room_only;
  grid.dataset.size = students.length <= 6 ? "few" : students.length <= 16 ? "some" : "many";
  const gone = new Set(room.tiles.keys());
  students.forEach((student, place) => {
    let tile = room.tiles.get(student.id);
    if (!tile) {
      tile = makeTile(room);
      room.tiles.set(student.id, tile);
    }
    tile.student = student;
    gone.delete(student.id);
    if (grid.children[place] !== tile.root) grid.insertBefore(tile.root, grid.children[place] ?? null);
    paintTile(tile, student);
    paintPut(room, tile, student);
  });
  for (const id of gone) {
    room.tiles.get(id).root.remove();
    room.tiles.delete(id);
  }
}

function makeTile(room) {
  const root = make("article", "tile");
  root.tabIndex = 0;
  root.addEventListener("keydown", (event) => tileKey(room, tile.student, event));
  const face = make("div", "face");
  const tile = {
    root, initials: make("span", "initials"), image: make("img"), tag: make("span", "tag"),
    bar: make("i"), name: make("span", "name"), age: make("span", "age"),
    state: make("span", "state"), confidence: make("span", "confidence"), put: make("div", "put"), student: null,
  };
  tile.image.alt = "";
  tile.image.decoding = "sync"; // no blank between one picture and the next
  tile.image.hidden = true;
  face.append(tile.initials, tile.image, tile.tag, tile.put);
  const meter = make("div", "meter");
  meter.append(tile.bar);
  const lines = make("div", "lines");
  const first = make("p");
  const second = make("p");
  first.append(tile.name, tile.age);
  second.append(tile.state, tile.confidence);
  lines.append(first, second);
  root.append(face, meter, lines);
  return tile;
}

// A button a label, to put it right; and one to take that back.
function paintPut(room, tile, student) {
  const key = JSON.stringify([student.correctable, student.label, student.corrected, room.data.labels]);
  refill(tile.put, key, () => {
    if (!student.correctable) return [];
    const buttons = room.data.labels.map((label, number) => {
      const button = make("button");
      button.type = "button";
      button.title = `${label.phrase} (${number + 1})`;
      button.setAttribute("aria-label", `${student.name}: ${label.phrase}`);
      button.setAttribute("aria-pressed", String(student.label === label.name));
      button.style.setProperty("--label", label.color);
      button.append(mark(label.mark));
      button.addEventListener("click", () => correct(room, tile.student, label.name));
      return button;
    });
    if (student.corrected) {
      const undo = make("button", "undo", "undo");
      undo.type = "button";
      undo.title = "take the correction back (u)";
      undo.addEventListener("click", () => takeBack(room, tile.student));
      buttons.push(undo);
    }
    return buttons;
  });
}

function paintTile(tile, student) {
  const { root } = tile;
  set(root, "data-student", student.id);
  set(root, "data-kind", student.kind);
  set(root, "data-stale", student.stale ? "yes" : "no");
  set(root, "aria-label", student.summary);
  if (student.color) root.style.setProperty("--state", student.color);
  else root.style.removeProperty("--state");
  if (student.image) {
    if (tile.image.src !== student.image) tile.image.src = student.image;
  } else if (tile.image.hasAttribute("src")) tile.image.removeAttribute("src");
  tile.image.hidden = !student.image;
  refill(tile.initials, `${student.kind}${student.icon}${student.initials}`, () =>
    student.kind === "presence" ? [icon(student.icon)] : [student.initials],
  );
  setText(tile.name, student.name);
  set(tile.name, "title", student.name);
  tile.bar.style.transform = `scaleX(${(student.confidence ?? 0).toFixed(2)})`;
  setText(tile.confidence, student.confidence === null ? "" : `${Math.round(student.confidence * 100)}%`);
  refill(tile.age, `${student.stale}${student.age}`, () => (student.stale ? [icon("clock"), student.age] : [student.age]));
  refill(tile.state, JSON.stringify([student.word, student.icon, student.mark]), () => [
    student.icon ? icon(student.icon) : mark(student.mark),
    make("span", "", student.word),
  ]);
  const tag = student.corrected ? "corrected" : student.tag ?? "";
  refill(tile.tag, tag, () => (student.corrected ? [tag] : tag ? [icon("unidentified"), tag] : []));
}

// --- what runs ------------------------------------------------------------------------------------------------------

function paintFacts({ find, data }) {
  const footer = find(".facts");
  refill(footer, JSON.stringify(data.facts.map((fact) => fact.name)), () =>
    data.facts.map((fact) => {
      const span = make("span", "", fact.name);
      span.append(make("b"));
      return span;
    }),
  );
  data.facts.forEach((fact, i) => {
    setText(footer.children[i].querySelector("b"), fact.value);
    set(footer.children[i], "title", fact.hint);
  });
}
