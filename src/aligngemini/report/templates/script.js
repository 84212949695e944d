"use strict";
(() => {
  const one = (selector) => document.querySelector(selector);
  const list = one(".cards");
  const cards = Array.from(list.querySelectorAll(".card"), (node, place) => ({
    node,
    place,
    kind: node.dataset.kind,
    score: node.dataset.score === "" ? null : Number(node.dataset.score),
    path: node.querySelector(".path").textContent.toLowerCase(),
    switches: Array.from(node.querySelectorAll(".switch")),
  }));
  const tiles = Array.from(document.querySelectorAll(".tile"));
  const find = one("#find");
  const sort = one("#sort");
  let kind = "all";

  function filter() {
    const wanted = find.value.trim().toLowerCase();
    let shown = 0;
    for (const card of cards) {
      const fits = (kind === "all" || card.kind === kind) && card.path.includes(wanted);
      card.node.hidden = !fits;
      shown += fits ? 1 : 0;
    }
    one("#shown").textContent = shown === cards.length ? "" : `${shown} of ${cards.length} shown`;
    one("#no-match").hidden = shown > 0 || cards.length === 0;
  }

  function order() {
    const sign = { input: 0, high: -1, low: 1 }[sort.value];
    // Images without a score stay last, whichever way the others are sorted.
    const compare = (a, b) =>
      (sign && ((a.score === null) - (b.score === null) || sign * (a.score - b.score))) ||
      a.place - b.place;
    list.append(...cards.slice().sort(compare).map((card) => card.node));
  }

  for (const tile of tiles) {
    tile.addEventListener("click", () => {
      kind = tile.dataset.filter;
      for (const other of tiles) other.setAttribute("aria-pressed", String(other === tile));
      filter();
    });
  }
  find.addEventListener("input", filter);
  sort.addEventListener("change", order);
  one(".tools").addEventListener("submit", (event) => event.preventDefault());

  const heatmaps = one("#all-heatmaps");
  if (heatmaps) {
    // The maps say where, and the heatmap only what moved a score: over each other nobody reads them.
    const shown = (card) => {
      const maps = card.switches.filter((each) => each.dataset.layer !== "heatmap");
      return maps.length ? maps : card.switches;
    };
    const switches = cards.flatMap(shown);
    const setAll = (on) => {
      heatmaps.checked = on;
      for (const each of switches) each.checked = on;
    };
    heatmaps.addEventListener("change", () => setAll(heatmaps.checked));
    list.addEventListener("change", (event) => {
      if (!event.target.classList.contains("switch")) return;
      const on = switches.filter((each) => each.checked).length;
      heatmaps.checked = on === switches.length;
      heatmaps.indeterminate = on > 0 && on < switches.length;
    });
    const strength = one("#strength");
    strength.addEventListener("input", () => {
      document.documentElement.style.setProperty("--strength", strength.value / 100);
    });
    // A link that ends in #heatmaps opens the page with every heatmap on.
    setAll(location.hash === "#heatmaps");
  }

  if (cards.length === 1) cards[0].node.querySelector(".more").open = true;
  document.documentElement.classList.add("scripted");
  order();
  filter();
})();
