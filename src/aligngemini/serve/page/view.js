// Records as they are shown. Text of files and of the server only ever becomes text nodes.

const LAYER_TITLES = { heatmap: "Heatmap", generated: "Generated", moved: "Moved or foreign" };
const SVG = "http://www.w3.org/2000/svg";

export const kindOf = (record) => record.verdict ?? "unjudged";

export function icon(kind) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("class", `icon ${kind}`);
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS(SVG, "use");
  use.setAttribute("href", `#icon-${kind}`);
  svg.append(use);
  return svg;
}

export function fromTemplate(id) {
  return document.querySelector(`#${id}`).content.firstElementChild.cloneNode(true);
}

/** A score with as many decimals as keep it on its side of the marks: 0.8996 is not 0.90. */
export function number(value, ...beside) {
  const others = [0, 1, ...beside.filter((other) => other !== null && other !== undefined)];
  for (let digits = 2; digits < 6; digits += 1) {
    const rounded = (one) => Number(one.toFixed(digits));
    const kept = (other) => Math.sign(rounded(value) - rounded(other)) === Math.sign(value - other);
    if (others.every(kept)) return value.toFixed(digits);
  }
  return value.toFixed(6);
}

function scaleBar(score, high, low) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("class", "bar");
  svg.setAttribute("role", "img");
  const marks = [
    low == null ? "" : `, undecided from ${number(low, score)}`,
    high == null ? "" : `, signs of AI generation from ${number(high, score)}`,
  ];
  svg.setAttribute("aria-label", `Score ${number(score, high, low)} from 0 to 1${marks.join("")}`);
  const draw = (name, attributes) => {
    const node = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
    svg.append(node);
  };
  const percent = (value) => `${100 * value}%`;
  draw("rect", { class: "track", width: "100%", height: 6, y: 5, rx: 3 });
  if (high != null) {
    const start = low ?? high;
    draw("rect", { class: "between", x: percent(start), width: percent(high - start), height: 6, y: 5 });
    draw("rect", { class: "above", x: percent(high), width: percent(1 - high), height: 6, y: 5 });
    for (const mark of [low, high]) {
      if (mark != null) draw("rect", { class: "mark", x: percent(mark), width: 1.5, height: 12, y: 2 });
    }
  }
  draw("circle", { cx: percent(score), cy: 8, r: 6 });
  return svg;
}

/** The branch whose marks the image's own score is read against, or the rule's where it has some. */
function scaleOf(record) {
  if (record.fused?.threshold != null) return record.fused;
  const same = (one) => one.score != null && one.score === record.score && one.threshold != null;
  return Object.values(record.branches ?? {}).find(same) ?? {};
}

function branchView(record, name) {
  const evidence = record.branches[name];
  const words = record.words?.branches?.[name] ?? {};
  const view = fromTemplate("branch");
  const find = (selector) => view.querySelector(selector);
  find("h3").append(...(evidence.verdict ? [icon(evidence.verdict), " "] : []), words.title ?? name);
  find(".asked").textContent = words.question ?? "";
  if (evidence.score != null) {
    find(".scale").append(scaleBar(evidence.score, evidence.threshold, evidence.threshold_real));
  }
  const signals = evidence.signals ?? [];
  find(".said").textContent = signals.length ? "" : words.text ?? evidence.skipped ?? evidence.verdict ?? "";
  for (const [place, signal] of signals.entries()) {
    const item = document.createElement("li");
    item.className = signal.state;
    item.textContent = words.signals?.[place] ?? `${signal.kind}: ${signal.claim ?? ""} (${signal.state})`;
    if (signal.detail) {
      const quoted = document.createElement("q");
      quoted.textContent = signal.detail;
      item.append(quoted);
    }
    find(".signals").append(item);
  }
  if (evidence.explanation) {
    const quoted = document.createElement("q");
    quoted.textContent = evidence.explanation;
    find(".reason").append("A language model wrote of this verdict, rightly or not: ", quoted);
  }
  find(".model").textContent = [evidence.model, evidence.ms == null ? "" : `${Math.round(evidence.ms)} ms`]
    .filter(Boolean)
    .join(" · ");
  view.classList.toggle("quiet", evidence.skipped != null);
  for (const node of view.querySelectorAll(":scope > *")) if (!node.childNodes.length) node.remove();
  return view;
}

function layersOf(record) {
  const found = { ...(record.maps ?? {}) };
  // Maps say where; a heatmap of the same branch would be both of them once more.
  const ofMaps = record.maps && record.score != null && record.score === record.branches?.gamma?.score;
  if (record.heatmap && !ofMaps) found.heatmap = record.heatmap;
  return found;
}

let counted = 0;

function addLayers(view, record) {
  const layers = layersOf(record);
  const names = Object.keys(layers);
  if (!names.length) return;
  counted += 1;
  const group = `layer-${counted}`;
  const shown = view.querySelector(".layer");
  const strength = view.querySelector(".strength");
  const choices = view.querySelector(".choices");
  const choose = (name) => {
    shown.hidden = !name;
    if (name) shown.src = layers[name];
    view.classList.toggle("layered", Boolean(name));
    strength.classList.toggle("idle", !name);
  };
  for (const name of ["", ...names]) {
    const label = document.createElement("label");
    const radio = document.createElement("input");
    Object.assign(radio, { type: "radio", name: group, value: name, checked: !name });
    radio.addEventListener("change", () => choose(name));
    const text = document.createElement("span");
    text.textContent = name ? LAYER_TITLES[name] ?? name : "Image";
    label.append(radio, text);
    choices.append(label);
  }
  const slider = strength.querySelector("input");
  const fade = () => shown.style.setProperty("opacity", String(slider.value / 100));
  slider.addEventListener("input", fade);
  fade();
  choose("");
  view.querySelector(".layers").hidden = false;
}

function addPicture(view, record, url) {
  const photo = view.querySelector(".photo");
  photo.alt = `Preview of ${record.path || "the image"}`;
  const fallBack = () => {
    photo.onload = photo.onerror = null;
    if (record.preview) photo.src = record.preview;
    view.querySelector(".frame").hidden = !record.preview;
    view.querySelector(".nothing").hidden = Boolean(record.preview);
  };
  if (!url) {
    fallBack();
    return;
  }
  // The file itself is sharper, where the browser reads it as the server did: HEIC it may not
  // know, and of a turned or animated one it may show something else.
  photo.onerror = fallBack;
  photo.onload = () => {
    const asJudged = photo.naturalWidth * record.height - photo.naturalHeight * record.width;
    if (record.preview && Math.abs(asJudged) > Math.max(record.width, record.height)) fallBack();
  };
  photo.src = url;
}

function addExplanation(place, sections) {
  place.hidden = !sections.length;
  for (const { title, lines } of sections) {
    const heading = document.createElement("h3");
    heading.textContent = title;
    const list = document.createElement("ul");
    for (const line of lines) {
      const item = document.createElement("li");
      item.textContent = line;
      list.append(item);
    }
    place.append(heading, list);
  }
}

function addDetails(view, record) {
  const rows = [
    ["SHA-256", record.sha256],
    ["Verdict id", record.id],
    ["Joined by", record.fusion],
    ["Error", record.error && `${record.error.code}: ${record.error.message}`],
    ...(record.notes ?? []).map((note) => ["Note", note]),
  ];
  const list = view.querySelector(".file dl");
  for (const [name, value] of rows) {
    if (!value) continue;
    const row = document.createElement("div");
    const term = document.createElement("dt");
    term.textContent = name;
    const said = document.createElement("dd");
    said.textContent = value;
    row.append(term, said);
    list.append(row);
  }
  view.querySelector(".file pre").textContent = JSON.stringify(plain(record), null, 2);
}

/** The record as `aligngemini detect` writes it, without what was only for this page. */
export function plain(record) {
  const { words, preview, heatmap, maps, ...rest } = record;
  return rest;
}

/** One judged image in full. */
export function resultView(record, url) {
  const view = fromTemplate("result");
  const find = (selector) => view.querySelector(selector);
  const kind = kindOf(record);
  const scale = scaleOf(record);
  const headline = find(".verdict");
  const score = document.createElement("span");
  score.className = "score";
  const said = document.createElement("span");
  said.textContent = record.words?.headline ?? kind;
  if (record.score != null) score.textContent = number(record.score, scale.threshold, scale.threshold_real);
  headline.classList.add(kind);
  headline.append(icon(kind), said, score);
  if (record.score != null) {
    find(":scope .face > .scale").append(scaleBar(record.score, scale.threshold, scale.threshold_real));
  }
  find(".promise").textContent = record.words?.promise ?? "";
  find(".file-name").textContent = record.path || "(no name)";
  find(".meta").textContent = [
    record.format,
    record.width && record.height ? `${record.width} × ${record.height}` : "",
    record.error?.code,
  ]
    .filter(Boolean)
    .join(" · ");
  find(".branches").append(...Object.keys(record.branches ?? {}).map((name) => branchView(record, name)));
  addExplanation(find(".explanation"), record.words?.sections ?? []);
  addPicture(view, record, url);
  addLayers(view, record);
  addDetails(view, record);
  return view;
}

/** One line of the list of images. */
export function entryView(entry) {
  const view = fromTemplate("entry");
  const kind = entry.record ? kindOf(entry.record) : entry.failure ? "unjudged" : "waiting";
  const said = entry.record?.words?.headline ?? entry.failure ?? entry.state;
  const picture = entry.record?.preview;
  if (picture) {
    const image = document.createElement("img");
    image.src = picture;
    image.alt = "";
    view.querySelector(".thumb").append(image);
  } else {
    view.querySelector(".thumb").append(icon(kind));
  }
  const verdict = view.querySelector(".entry-verdict");
  verdict.classList.add(kind);
  verdict.append(icon(kind), " ", said);
  view.querySelector(".entry-name").textContent = entry.name;
  return view;
}
