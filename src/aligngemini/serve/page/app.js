// The page: images in, one verdict each out.

import { Refused, detect, models, report, useKey } from "./api.js";
import { forget, forgetAll, keep, past } from "./history.js";
import { entryView, kindOf, plain, resultView } from "./view.js";

const AT_ONCE = 2; // images on their way to the server
const MOST_SIDE_BY_SIDE = 6;

const one = (selector) => document.querySelector(selector);
const entries = []; // { name, file, url, record, failure, state }
let chosen = null;
let sideBySide = false;
let working = 0;

// --- images come in ------------------------------------------------------------------------------

function take(files) {
  const images = Array.from(files);
  if (!images.length) return;
  notice("");
  for (const file of images) {
    const entry = { name: file.name || "pasted image", file, url: URL.createObjectURL(file), state: "waiting" };
    entries.push(entry);
  }
  chosen ??= entries.at(-images.length);
  show();
  work();
}

function work() {
  while (working < AT_ONCE) {
    const next = entries.find((entry) => entry.state === "waiting");
    if (!next) return;
    working += 1;
    next.state = "looking at it";
    judge(next).finally(() => {
      working -= 1;
      show();
      work();
    });
  }
}

async function judge(entry) {
  try {
    const onWait = (seconds) => notice(`The server is busy; trying again in ${seconds} s.`);
    entry.record = await detect(entry.file, { onWait });
    entry.state = "done";
    notice("");
    await keep({ ...entry.record, path: entry.record.path || entry.name });
    say(`${entry.name}: ${entry.record.words?.headline ?? kindOf(entry.record)}`);
  } catch (error) {
    if (error instanceof Refused && error.status === 401 && (await askKey())) {
      entry.state = "waiting";
      return;
    }
    entry.state = "failed";
    entry.failure = error instanceof Refused ? error.message : "The server cannot be reached.";
    say(`${entry.name}: ${entry.failure}`);
  }
}

let asking = null;

function askKey() {
  asking ??= new Promise((resolve) => {
    const dialog = one("#ask-key");
    dialog.addEventListener(
      "close",
      () => {
        const key = one("#key").value.trim();
        if (key) useKey(key);
        asking = null;
        resolve(Boolean(key) && dialog.returnValue !== "cancel");
      },
      { once: true },
    );
    dialog.addEventListener("cancel", () => { one("#key").value = ""; }, { once: true });
    dialog.showModal();
  });
  return asking;
}

// --- what is shown -------------------------------------------------------------------------------

function show() {
  document.body.classList.toggle("busy", entries.some((entry) => entry.state !== "done" && !entry.failure));
  document.body.classList.toggle("begun", entries.length > 0);
  one("#work").hidden = !entries.length;
  const list = one("#entries");
  const focused = list.contains(document.activeElement);
  list.replaceChildren(...entries.map(line));
  if (focused) list.querySelector("[aria-current=true]")?.focus();
  const judged = entries.filter((entry) => entry.record);
  one("#compare").hidden = judged.length < 2;
  one("#downloads").hidden = !judged.length;
  one("#save-report").hidden = !judged.some((entry) => entry.file);
  if (judged.length < 2) sideBySide = false;
  one("#compare").setAttribute("aria-pressed", String(sideBySide));
  one("#detail").hidden = sideBySide;
  one("#side-by-side").hidden = !sideBySide;
  if (sideBySide) showSideBySide(judged);
  else showDetail();
}

function line(entry) {
  const item = entryView(entry);
  const button = item.querySelector("button");
  button.setAttribute("aria-current", String(entry === chosen));
  button.addEventListener("click", () => {
    chosen = entry;
    sideBySide = false;
    show();
    one("#entries [aria-current=true]")?.focus();
  });
  return item;
}

let detailed = null; // what the detail shows now, so that a new arrival does not reset its layers

function showDetail() {
  const shown = chosen?.record ?? chosen?.failure ?? chosen?.state;
  if (detailed === shown && one("#detail").childNodes.length) return;
  detailed = shown;
  if (chosen?.record) {
    one("#detail").replaceChildren(resultView(chosen.record, chosen.url));
    return;
  }
  const text = document.createElement("p");
  text.className = chosen?.failure ? "notice" : "pending";
  text.textContent = chosen?.failure ? `${chosen.name}: ${chosen.failure}` : chosen ? "Looking at it …" : "";
  one("#detail").replaceChildren(text);
}

let compared = "";

function showSideBySide(judged) {
  const shown = judged.slice(-MOST_SIDE_BY_SIDE);
  const which = shown.map((entry) => entries.indexOf(entry)).join();
  if (which === compared && one("#side-by-side").childNodes.length) return;
  compared = which;
  one("#side-by-side").replaceChildren(...shown.map((entry) => resultView(entry.record, entry.url)));
}

function notice(text) {
  one("#notice").textContent = text;
  one("#notice").hidden = !text;
}

function say(text) {
  one("#status").textContent = text;
}

// --- what goes out -------------------------------------------------------------------------------

function download(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

one("#save-json").addEventListener("click", () => {
  const records = entries.filter((entry) => entry.record).map((entry) => plain(entry.record));
  download(new Blob([JSON.stringify(records, null, 2)], { type: "application/json" }), "aligngemini.json");
});

one("#save-report").addEventListener("click", async () => {
  const files = entries.filter((entry) => entry.record && entry.file).map((entry) => entry.file);
  try {
    notice("Making the report …");
    download(await report(files), "aligngemini-report.html");
    notice("");
  } catch (error) {
    notice(error instanceof Refused ? error.message : "The server cannot be reached.");
  }
});

// --- history -------------------------------------------------------------------------------------

async function showHistory() {
  const kept = await past();
  const list = one("#past");
  list.replaceChildren();
  for (const { key, when, record } of kept) {
    const entry = { name: record.path, record, state: "done" };
    const item = entryView(entry);
    const date = document.createElement("time");
    date.dateTime = new Date(when).toISOString();
    date.textContent = new Date(when).toLocaleString();
    item.querySelector(".entry-text").append(date);
    item.querySelector("button").addEventListener("click", () => {
      entries.push(entry);
      chosen = entry;
      one("#history").close();
      show();
    });
    const remove = document.createElement("button");
    remove.type = "button";
    remove.className = "remove";
    remove.textContent = "Delete";
    remove.setAttribute("aria-label", `Delete ${record.path} from the history`);
    remove.addEventListener("click", async () => {
      await forget(key);
      await showHistory();
    });
    item.append(remove);
    list.append(item);
  }
  if (!kept.length) {
    const nothing = document.createElement("li");
    nothing.textContent = "Nothing yet.";
    list.append(nothing);
  }
  one("#forget").hidden = !kept.length;
}

one("#open-history").addEventListener("click", async () => {
  await showHistory();
  one("#history").showModal();
});
one("#close-history").addEventListener("click", () => one("#history").close());
one("#forget").addEventListener("click", async () => {
  await forgetAll();
  await showHistory();
});

// --- wiring --------------------------------------------------------------------------------------

one("#files").addEventListener("change", (event) => {
  take(event.target.files);
  event.target.value = ""; // the same file may be chosen again
});

addEventListener("paste", (event) => {
  if (event.target.matches("input, textarea") || !event.clipboardData?.files.length) return;
  event.preventDefault();
  take(event.clipboardData.files);
});

let inside = 0; // leave events of children also arrive
addEventListener("dragenter", () => {
  inside += 1;
  document.body.classList.add("dragging");
});
addEventListener("dragleave", () => {
  inside = Math.max(0, inside - 1);
  if (!inside) document.body.classList.remove("dragging");
});
addEventListener("dragover", (event) => event.preventDefault());
addEventListener("drop", (event) => {
  event.preventDefault();
  inside = 0;
  document.body.classList.remove("dragging");
  if (event.dataTransfer.files.length) take(event.dataTransfer.files);
  else notice("That was no file. Save the image first, or copy it and paste it here.");
});

one("#compare").addEventListener("click", () => {
  sideBySide = !sideBySide;
  show();
});

one("#clear").addEventListener("click", () => {
  for (const entry of entries) if (entry.url) URL.revokeObjectURL(entry.url);
  entries.length = 0;
  chosen = detailed = null;
  compared = "";
  notice("");
  show();
  one("#files").focus();
});

const THEMES = { "": "dark", dark: "light", light: "" };
const THEME_WORDS = { "": ["Theme: auto", "as the system"], dark: ["Theme: dark", "dark"], light: ["Theme: light", "light"] };

function nameTheme() {
  const [short, long] = THEME_WORDS[document.documentElement.dataset.theme ?? ""];
  one("#theme").textContent = short;
  one("#theme").setAttribute("aria-label", `Colours: ${long}`);
}

one("#theme").addEventListener("click", () => {
  const next = THEMES[document.documentElement.dataset.theme ?? ""];
  if (next) document.documentElement.dataset.theme = next;
  else delete document.documentElement.dataset.theme;
  try {
    localStorage.setItem("aligngemini-theme", next);
  } catch {
    // It holds for this visit then.
  }
  nameTheme();
});
nameTheme();

models().then(
  (found) => {
    one("#keeping").textContent = found.keeps
      ? "Images go to this server, which keeps them."
      : "Images go to this server only, which does not keep them.";
    const parts = found.branches.filter((branch) => branch.model).map((branch) =>
      [branch.title ?? branch.name, branch.model, branch.device && `on ${branch.device}`].filter(Boolean).join(" "),
    );
    one("#models").textContent = `This server judges by: ${parts.join("; ")}. aligngemini ${found.version ?? ""}`;
  },
  () => {}, // told when an image is judged
);
