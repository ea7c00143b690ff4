"use strict";
(() => {
  const root = document.documentElement;
  const byId = (id) => document.getElementById(id);
  const element = (tag, text, className) => {
    const made = document.createElement(tag);
    if (text !== undefined) made.textContent = text;
    if (className) made.className = className;
    return made;
  };
  const page = JSON.parse(byId("data").textContent);
  const choose = byId("choose").elements;

  // -- numbers ---------------------------------------------------------------------------------

  const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
  const four = new Intl.NumberFormat("en", { maximumSignificantDigits: 4 });
  const compact = new Intl.NumberFormat("en", { notation: "compact", maximumSignificantDigits: 4 });
  const number = (n) => (Number.isInteger(n) ? whole.format(n) : four.format(n));
  const small = (n) => (Math.abs(n) < 100000 ? number(n) : compact.format(n));
  const size = (n) => `${compact.format(n).replace(/[KMBT]$/, (unit) => ({ K: " k", M: " M", B: " G", T: " T" })[unit])}B`;
  const share = (part, all) => (all ? `${((100 * part) / all).toFixed(1)} %` : "–");
  const signed = (n, read = number) => (n > 0 ? `+${read(n)}` : n < 0 ? `−${read(-n)}` : "±0");

  // -- asking: one question at a time, and of those that wait only the last ----------------------

  const alarm = (text) => {
    byId("alarm").textContent = text || "";
    byId("alarm").hidden = !text;
  };
  const ask = async (path, body) => {
    const options = body && { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) };
    const answer = await fetch(path, options);
    if (!answer.ok) {
      const told = await answer.json().catch(() => ({}));
      throw new Error(told.error || `the server said ${answer.status}`);
    }
    return answer;
  };
  const attempt = async (question) => {
    try {
      await question();
      alarm("");
    } catch (wrong) {
      alarm(wrong.message === "Failed to fetch" ? "The server is gone: start `bateia tune` again." : wrong.message);
    }
  };
  let asking = false;
  let waiting = null;
  const take = async (question) => {
    waiting = question;
    if (asking) return;
    asking = true;
    byId("main").ariaBusy = "true";
    while (waiting) {
      const now = waiting;
      waiting = null;
      await attempt(now);
    }
    asking = false;
    byId("main").ariaBusy = "false";
  };

  // -- bounds ----------------------------------------------------------------------------------

  let state; // of the flow that is shown
  const settings = { ...page.saved }; // full name of a rule -> bound, of every flow
  const touched = new Set(Object.keys(page.saved)); // named in the recipe or in what is saved
  const language = () => choose.language.value;
  const named = (rule, of = language()) => `${state.flow}.${rule.filter}${of ? `.by_language.${of}` : ""}.${rule.rule}`;
  const original = (rule, of) => (of && of in rule.own ? rule.own[of] : rule.bound);
  const bound = (rule, of = language()) => {
    if (of && named(rule, of) in settings) return settings[named(rule, of)];
    if (of && of in rule.own) return rule.own[of];
    return named(rule, "") in settings ? settings[named(rule, "")] : rule.bound;
  };
  const pair = (rule, value) => {
    if (value === null) return [null, null];
    if (rule.sense === "between") return value;
    return rule.sense === "at most" ? [null, value] : [value, null];
  };
  const same = (a, b) => JSON.stringify(a) === JSON.stringify(b);
  const put = (rule, [low, high]) => {
    const value = rule.sense === "between" ? (low === null && high === null ? null : [low, high]) : rule.sense === "at most" ? high : low;
    const name = named(rule);
    if (same(value, original(rule, language())) && !touched.has(name) && (!language() || language() in rule.own || same(value, bound(rule, "")))) delete settings[name];
    else settings[name] = value;
  };

  /** Back to the bound of the run; one that stands in the recipe by now is written back there. */
  const forget = (rule, of) => {
    const name = named(rule, of);
    if (touched.has(name)) settings[name] = original(rule, of);
    else delete settings[name];
  };

  // -- an axis: bins of one width, whatever they span --------------------------------------------

  const STEPS = 20; // of a slider, in a bin
  const place = (edges, value) => {
    const bins = edges.length - 1;
    if (value === null) return null;
    if (value <= edges[0]) return 0;
    if (value >= edges[bins]) return bins;
    const after = edges.findIndex((edge) => edge > value);
    return after - 1 + (value - edges[after - 1]) / (edges[after] - edges[after - 1]);
  };
  const valueAt = (rule, position) => {
    const { edges } = rule;
    const bin = Math.min(Math.floor(position), edges.length - 2);
    const width = edges[bin + 1] - edges[bin];
    const value = edges[bin] + (position - bin) * width;
    if (rule.whole) return Math.round(value);
    const digits = Math.max(0, Math.ceil(-Math.log10(width / STEPS)));
    return Number(value.toFixed(Math.min(digits, 12)));
  };

  // -- a rule: its histogram, its sliders, its numbers -------------------------------------------

  const SVG = "http://www.w3.org/2000/svg";
  const SIDES = ["kept", "goes_on", "dropped", "elsewhere"];
  const cards = new Map();

  const draw = (card, histogram) => {
    const bins = histogram.kept.length;
    const sums = histogram.kept.map((_, i) => SIDES.reduce((sum, side) => sum + histogram[side][i], 0));
    const most = Math.sqrt(Math.max(1, ...sums));
    const paths = Object.fromEntries(SIDES.map((side) => [side, ""]));
    for (let i = 0; i < bins; i++) {
      let y = 100;
      const tall = (98 * Math.sqrt(sums[i])) / most;
      for (const side of SIDES) {
        const part = sums[i] ? (tall * histogram[side][i]) / sums[i] : 0;
        if (part) paths[side] += `M${i + 0.04} ${y.toFixed(2)}v${(-part).toFixed(2)}h.92v${part.toFixed(2)}z`;
        y -= part;
      }
    }
    for (const side of SIDES) card.paths[side].setAttribute("d", paths[side]);
    card.histogram = histogram;
  };

  const slider = (rule, side) => {
    const made = element("input");
    made.type = "range";
    made.min = 0;
    made.max = (rule.edges.length - 1) * STEPS;
    made.step = 1;
    made.ariaLabel = `${rule.filter} ${rule.rule}, ${side ? "at most" : "at least"}`;
    return made;
  };
  const box = (rule, side) => {
    const made = element("input");
    made.type = "text";
    made.inputMode = "decimal";
    made.placeholder = rule.sense === "between" ? "no limit" : "off";
    made.ariaLabel = `${rule.rule}, ${side ? "at most" : "at least"}, as a number`;
    return made;
  };

  const build = (rule) => {
    const figure = element("figure", undefined, "rule");
    figure.dataset.rule = `${rule.filter}.${rule.rule}`;
    const caption = element("figcaption");
    const name = element("code");
    for (const part of rule.rule.split(/(?<=_)/)) name.append(part, element("wbr"));
    name.title = rule.about;
    const set = element("span", undefined, "set");
    caption.append(name, set);
    const plot = element("div", undefined, "plot");
    const svg = document.createElementNS(SVG, "svg");
    svg.setAttribute("viewBox", `0 0 ${rule.edges.length - 1} 100`);
    svg.setAttribute("preserveAspectRatio", "none");
    svg.setAttribute("aria-hidden", "true");
    const card = { rule, figure, paths: {}, sliders: [null, null], boxes: [null, null] };
    for (const side of SIDES) {
      card.paths[side] = document.createElementNS(SVG, "path");
      card.paths[side].setAttribute("class", side);
      svg.append(card.paths[side]);
    }
    const ground = document.createElementNS(SVG, "path");
    ground.setAttribute("class", "ground");
    ground.setAttribute("d", `M0 99.6H${rule.edges.length - 1}`);
    svg.append(ground);
    plot.append(svg);
    for (const side of [0, 1]) {
      if (rule.sense === (side ? "at least" : "at most")) continue;
      card.sliders[side] = slider(rule, side);
      card.boxes[side] = box(rule, side);
      plot.append(card.sliders[side]);
      set.append(element("span", side ? (rule.sense === "between" ? "to" : "≤") : rule.sense === "between" ? "" : "≥"), card.boxes[side]);
      card.sliders[side].addEventListener("input", () => slide(card, side));
      card.sliders[side].addEventListener("change", () => settle());
      card.boxes[side].addEventListener("change", () => type(card, side));
    }
    const ends = element("div", undefined, "ends");
    const middle = rule.edges[Math.floor(rule.edges.length / 2)];
    ends.append(element("span", small(rule.edges[0])), element("span", small(middle)), element("span", small(rule.edges[rule.edges.length - 1])));
    card.drops = element("p", undefined, "drops");
    figure.append(caption, plot, ends, card.drops);
    return card;
  };

  /** Put sliders, boxes and marks where the bounds are; the slider in hand stays where it is. */
  const dress = (card, held = -1) => {
    const { rule } = card;
    const ends = pair(rule, bound(rule));
    card.figure.classList.toggle("moved", !same(bound(rule), original(rule, language())));
    for (const side of [0, 1]) {
      if (!card.sliders[side]) continue;
      const value = ends[side];
      const bins = rule.edges.length - 1;
      if (side !== held) card.sliders[side].value = value === null ? (side ? bins * STEPS : 0) : Math.round(place(rule.edges, value) * STEPS);
      card.sliders[side].classList.toggle("off", value === null);
      card.sliders[side].ariaValueText = value === null ? "no limit" : number(value);
      if (document.activeElement !== card.boxes[side]) card.boxes[side].value = value === null ? "" : String(value);
    }
  };

  const slide = (card, side) => {
    const { rule } = card;
    const position = Number(card.sliders[side].value) / STEPS;
    const ends = [...pair(rule, bound(rule))];
    ends[side] = position === (side ? rule.edges.length - 1 : 0) ? null : valueAt(rule, position);
    const other = ends[1 - side];
    if (rule.sense === "between" && other !== null && ends[side] !== null && (side ? ends[1] < other : ends[0] > other)) ends[side] = other;
    put(rule, ends);
    dress(card, side);
    take(() => refresh([card]));
  };

  const type = (card, side) => {
    const text = card.boxes[side].value.replaceAll(",", "").trim();
    const value = text === "" ? null : Number(text);
    card.boxes[side].setCustomValidity(Number.isNaN(value) || !Number.isFinite(value ?? 0) ? "a number, or nothing" : "");
    if (!card.boxes[side].reportValidity()) return;
    const ends = [...pair(card.rule, bound(card.rule))];
    ends[side] = value;
    put(card.rule, ends);
    dress(card);
    settle();
  };

  // -- what the bounds come to -------------------------------------------------------------------

  const tile = (label, shown, was, note, kind) => {
    const made = element("div", undefined, "tile");
    const value = element("dd", shown, kind);
    if (was) value.append(" ", element("span", was, "was"));
    made.append(element("dt", label), value);
    made.title = note;
    if (note) made.append(element("dd", note, "note"));
    return made;
  };

  const totals = (n) => {
    const diff = (a, b, read) => (a === b ? "" : signed(a - b, read));
    const kind = (a, b) => (a > b ? "more" : a < b ? "less" : "");
    const unit = n.now.tokens === null ? "bytes" : "tokens";
    const read = unit === "bytes" ? size : compact.format;
    const tiles = [
      tile("Kept documents", number(n.new.documents), diff(n.new.documents, n.now.documents), `${share(n.new.documents, n.came)} of ${small(n.came)}`, kind(n.new.documents, n.now.documents)),
      tile(unit === "bytes" ? "Kept bytes" : "Kept tokens, about", read(n.new[unit]), "", n.new[unit] === n.now[unit] ? "as now" : `now ${read(n.now[unit])}`, kind(n.new[unit], n.now[unit])),
      tile("Would leave", number(n.lost), "", "of the kept", n.lost ? "less" : ""),
      tile("Would come back", number(n.won), "", "of the dropped", n.won ? "more" : ""),
      tile("Go on, not yet judged", number(n.goes_on.documents), "", n.goes_on.documents ? `estimate: ${small(n.goes_on.estimate)} stay` : "by later stages", n.goes_on.documents ? "more" : ""),
    ];
    byId("totals").replaceChildren(...tiles);
  };

  const table = (holder, head, rows, most) => {
    const made = element("table");
    const line = element("tr");
    for (const [at, text] of [head, "Came", "Kept now", "Would be kept", "Share", "Change", "Go on", ""].entries()) line.append(element("th", text, at ? (at < 7 ? "n" : "wide") : ""));
    const top = element("thead");
    top.append(line);
    const body = element("tbody");
    for (const row of rows) {
      const made = element("tr");
      const name = element("th");
      name.scope = "row";
      name.append(row.name ? element("bdi", row.name.slice(0, 120)) : element("span", "unknown", "note"));
      made.append(name);
      const kind = row.new > row.now ? "more" : row.new < row.now ? "less" : "";
      for (const [text, className] of [[number(row.in)], [number(row.now)], [number(row.new)], [share(row.new, row.in)], [row.new === row.now ? "" : signed(row.new - row.now), kind], [row.goes_on ? number(row.goes_on) : ""]]) made.append(element("td", text, `n ${className || ""}`));
      const bar = document.createElementNS(SVG, "svg");
      bar.setAttribute("class", "bar");
      bar.setAttribute("aria-hidden", "true");
      let x = 0;
      for (const [className, n] of [["d", row.in], ["k", row.new]]) {
        const part = document.createElementNS(SVG, "rect");
        for (const [key, value] of Object.entries({ class: className, x: 0, height: "100%", width: `${((100 * n) / most).toFixed(2)}%` })) part.setAttribute(key, value);
        bar.append(part);
      }
      const cell = element("td", undefined, "wide");
      cell.append(bar);
      made.append(cell);
      body.append(made);
    }
    made.append(top, body);
    holder.replaceChildren(made);
  };

  const show = (n) => {
    totals(n);
    const most = (rows) => Math.max(1, ...rows.map((row) => row.in));
    table(byId("languages").querySelector(".scroll"), "Language", n.languages, most(n.languages));
    table(byId("domains").querySelector(".scroll"), "Domain", n.domains, most(n.domains));
    for (const { name, now, new: after, unjudged } of n.filters) {
      const told = document.querySelector(`[data-passes="${CSS.escape(name)}"]`);
      told.textContent = `${number(now)} pass${after === now ? "" : ` → ${number(after)}`}${unjudged ? `, ${number(unjudged)} not judged` : ""}`;
    }
    for (const card of cards.values()) {
      const { now, new: after } = n.rules[card.rule.number - 1];
      const read = element("button", "read");
      read.type = "button";
      read.ariaLabel = `Read documents at the line of ${card.rule.rule}`;
      read.addEventListener("click", () => open(card));
      const parts = [element("span", "drops"), element("b", after === now ? number(now) : `${number(now)} → ${number(after)}`), read];
      if (named(card.rule) in settings && !same(bound(card.rule), original(card.rule, language()))) {
        const back = element("button", "undo");
        back.type = "button";
        back.addEventListener("click", () => { forget(card.rule, language()); dress(card); settle(); });
        parts.push(back);
      }
      card.drops.replaceChildren(...parts);
    }
    for (const [key, histogram] of Object.entries(n.histograms)) draw(cards.get(Number(key)), histogram);
  };

  const refresh = async (some) => {
    const body = { flow: state.flow, settings, wanted: some.map((card) => card.rule.number), language: language() };
    show(await (await ask("numbers", body)).json());
  };

  const fragment = async (id, body) => {
    const text = await (await ask("documents", { flow: state.flow, settings, language: language(), ...body })).text();
    byId(id).replaceChildren(...new DOMParser().parseFromString(text, "text/html").body.childNodes);
  };

  const difference = async () => {
    const none = !Object.keys(settings).length;
    const text = none ? "" : await (await ask("difference", { settings })).text();
    const lines = text.split("\n").slice(2).map((line) => element("span", `${line}\n`, line[0] === "+" ? "add" : line[0] === "-" ? "cut" : ""));
    byId("difference").firstChild.replaceChildren(...(text ? lines : [element("span", "Nothing is changed.", "note")]));
    byId("apply").disabled = !text;
    byId("save").disabled = none && !Object.keys(page.saved).length;
  };

  /** After a move is over: everything else that depends on it. */
  const settle = () => take(async () => {
    await refresh([...cards.values()]);
    if (waiting) return;
    await difference();
    for (const side of ["lost", "won"]) if (!waiting) await fragment(side, { side, number: 1 });
  });

  // -- reading documents -------------------------------------------------------------------------

  const open = (card) => take(async () => {
    byId("reading").textContent = `${card.rule.filter} · ${card.rule.rule}`;
    byId("about").textContent = `${card.rule.about}. Documents that every other rule lets pass, on both sides of the line${language() ? `, in ${language()}` : ""}.`;
    for (const side of ["outside", "inside"]) byId(side).replaceChildren(element("p", "…", "note"));
    if (!byId("reader").open) byId("reader").showModal();
    for (const side of ["outside", "inside"]) await fragment(side, { side, number: card.rule.number });
  });

  // -- flows, languages, the recipe ---------------------------------------------------------------

  const section = (filter) => {
    const made = element("section");
    made.id = filter;
    const head = element("h2", filter);
    const passes = element("small");
    passes.dataset.passes = filter;
    head.append(passes);
    const legend = element("p", undefined, "legend");
    for (const [key, text] of [["k", "kept"], ["on", "goes on, not yet judged"], ["by", "dropped by this rule"], ["else", "dropped elsewhere"]]) legend.append(element("span", text, `key ${key}`));
    legend.append(element("span", "Heights grow with the square root."));
    const grid = element("div", undefined, "measures");
    made.append(head, legend, grid);
    return [made, grid];
  };

  const contents = () => {
    const items = [...document.querySelectorAll("main section")].map((part) => {
      const link = element("a", part.querySelector("h2").firstChild.textContent);
      link.href = `#${part.id}`;
      const item = element("li");
      item.append(link);
      return item;
    });
    byId("contents").replaceChildren(...items);
  };

  const load = (flow) => take(async () => {
    state = await (await ask(`flow/${encodeURIComponent(flow)}`)).json();
    cards.clear();
    const sections = new Map();
    for (const rule of state.rules) {
      if (!sections.has(rule.filter)) sections.set(rule.filter, section(rule.filter));
      const card = build(rule);
      cards.set(rule.number, card);
      sections.get(rule.filter)[1].append(card.figure);
    }
    byId("filters").replaceChildren(...[...sections.values()].map(([part]) => part));
    choose.language.replaceChildren(new Option("all languages", ""), ...state.languages.map((name) => new Option(name, name)));
    contents();
    for (const card of cards.values()) dress(card);
    const { came, judged, now } = state.numbers;
    byId("lead").textContent = `Of ${number(came)} documents, ${number(judged)} came to the filters of ${flow} and ${number(now.documents)} were kept to its end. Move a line: the counts are of every document, from what the run measured.`;
    show(state.numbers);
    settle();
  });

  for (const flow of page.flows) choose.flow.append(new Option(flow, flow));
  choose.flow.addEventListener("change", () => load(choose.flow.value));
  choose.language.addEventListener("change", () => {
    for (const card of cards.values()) dress(card);
    settle();
  });
  byId("choose").addEventListener("submit", (event) => event.preventDefault());
  byId("reset").addEventListener("click", () => {
    for (const rule of state.rules) for (const of of ["", ...state.languages]) forget(rule, of);
    for (const card of cards.values()) dress(card);
    byId("done").textContent = "";
    settle();
  });
  const keep = (path, told) => () => attempt(async () => { // never passed over for a later question
    byId("done").textContent = "";
    const answer = await (await ask(path, { settings })).json();
    for (const name of Object.keys(settings)) touched.add(name);
    byId("done").textContent = told(answer);
    await difference();
  });
  byId("apply").addEventListener("click", keep("apply", ({ recipe }) => `Written to ${recipe}. Run it: only what depends on it is made anew.`));
  byId("save").addEventListener("click", keep("save", () => "Saved. `bateia tune --apply` writes them."));

  // -- theme -------------------------------------------------------------------------------------

  const system = matchMedia("(prefers-color-scheme: dark)");
  const dark = () => (root.dataset.theme || (system.matches ? "dark" : "light")) === "dark";
  const turned = () => { byId("theme").textContent = dark() ? "Light theme" : "Dark theme"; };
  byId("theme").addEventListener("click", () => {
    root.dataset.theme = dark() ? "light" : "dark";
    localStorage.setItem("bateia-theme", root.dataset.theme);
    turned();
  });
  system.addEventListener("change", turned);
  const theme = localStorage.getItem("bateia-theme");
  if (theme) root.dataset.theme = theme;
  turned();

  load(page.flows[0]);
})();
