"use strict";
(() => {
  const root = document.documentElement;
  const find = (selector, from = document) => [...from.querySelectorAll(selector)];
  const element = (tag, text, className) => {
    const made = document.createElement(tag);
    if (text !== undefined) made.textContent = text;
    if (className) made.className = className;
    return made;
  };

  // -- numbers ---------------------------------------------------------------------------------

  const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
  const four = new Intl.NumberFormat("en", { maximumSignificantDigits: 4 });
  const compact = new Intl.NumberFormat("en", { notation: "compact", maximumSignificantDigits: 3 });
  const scales = { K: " k", M: " M", B: " B", T: " T" };
  const number = (n) => (n === null ? "–" : Number.isInteger(n) ? whole.format(n) : four.format(n));
  const small = (n) => (n !== 0 && Math.abs(n) < 0.001 ? n.toExponential(0) : compact.format(n).replace(/[KMBT]$/, (unit) => scales[unit]));
  const share = (part, all) => {
    const percent = all ? (100 * part) / all : 0;
    return percent > 0 && percent < 0.005 ? "< 0.01 %" : `${percent.toFixed(percent < 1 && percent > 0 ? 2 : 1)} %`;
  };

  // -- charts: drawn when they come into view, drawn again when the theme turns ----------------

  const charts = JSON.parse(document.getElementById("data").textContent);
  const drawn = new Map();
  let colour = {};

  const readColours = () => {
    const style = getComputedStyle(root);
    colour = new Proxy({}, { get: (_, key) => style.getPropertyValue(`--${key}`).trim() });
  };

  /** A tooltip made of elements: no markup is ever parsed, no style attribute written. */
  const tip = (title, rows) => {
    const box = element("div", undefined, "tip");
    box.append(element("b", title));
    for (const [label, value] of rows) {
      const row = element("div");
      row.append(element("span", label), element("span", value));
      box.append(row);
    }
    return box;
  };

  const base = () => ({
    animation: false,
    textStyle: { fontFamily: getComputedStyle(document.body).fontFamily },
    tooltip: {
      trigger: "axis", confine: true, transitionDuration: 0, padding: [6, 10],
      backgroundColor: colour.surface, borderColor: colour.line, textStyle: { color: colour.ink },
      axisPointer: { type: "line", lineStyle: { color: colour.slate, type: "solid", opacity: 0.5 } },
    },
  });
  const label = () => ({ color: colour.soft, fontSize: 11.5 });
  const bare = { axisTick: { show: false }, axisLine: { show: false }, splitLine: { show: false } };

  const funnel = ({ stages }, width) => {
    const deepest = Math.max(0, ...stages.map((stage) => stage.rules.length));
    const bars = (name, values, fill) => ({
      name, type: "bar", stack: "documents", data: values, barWidth: "64%", silent: true,
      itemStyle: { color: fill, borderColor: colour.surface, borderWidth: 0.5 },
    });
    const shades = Array.from({ length: deepest }, (_, rank) =>
      bars(`rule ${rank}`, stages.map((stage) => (stage.rules[rank] || [0, 0])[1]), colour[`d${Math.min(rank, 5)}`]));
    const narrow = width < 560;
    const names = { type: "category", inverse: true, ...bare };
    const left = narrow ? 112 : 170;
    return {
      grid: { left, right: narrow ? 58 : 132, top: 22, bottom: 6 },
      xAxis: {
        type: "value", position: "top", max: stages[0].in || 1, ...bare, splitNumber: narrow ? 2 : 4,
        axisLabel: { ...label(), formatter: small, showMaxLabel: false }, splitLine: { lineStyle: { color: colour.line } },
      },
      yAxis: [
        { ...names, data: stages.map((stage) => stage.name), axisLabel: { ...label(), color: colour.ink, width: left - 12, align: "left", margin: left - 1, overflow: "truncate", interval: 0 } },
        {
          ...names, position: "right", data: stages.map((_, i) => i),
          axisLabel: {
            ...label(), interval: 0,
            formatter: (i) => {
              const stage = stages[i];
              const gone = stage.gone ? `−${share(stage.gone, stage.in)}` : "";
              return narrow ? gone : `{gone|${gone}}{left|${share(stage.out, stages[0].in)}}`;
            },
            rich: { gone: { width: 58, align: "right", color: colour.soft }, left: { width: 58, align: "right", color: colour.ink } },
          },
        },
      ],
      tooltip: {
        axisPointer: { type: "shadow", shadowStyle: { color: colour.slate, opacity: 0.12 } },
        formatter: ([{ dataIndex }]) => {
          const stage = stages[dataIndex];
          return tip(stage.name, [
            ["in", number(stage.in)], ["kept", number(stage.out)],
            ...stage.rules.map(([rule, n]) => [rule, `${number(n)}  (${share(n, stage.in)})`]),
            ...(stage.broken ? [["quarantined", number(stage.broken)]] : []),
          ]);
        },
      },
      series: [
        bars("kept", stages.map((stage) => stage.out), colour.gold), ...shades,
        bars("quarantined", stages.map((stage) => stage.broken), colour.red),
      ],
    };
  };

  /** Where a value stands between the edges, in bins; null outside. */
  const place = (edges, value) => {
    if (typeof value !== "number" || value < edges[0] || value > edges[edges.length - 1]) return null;
    const after = edges.findIndex((edge) => edge > value);
    if (after < 0) return edges.length - 1;
    return after - 1 + (value - edges[after - 1]) / (edges[after] - edges[after - 1]);
  };

  const histogram = ({ edges, kept, dropped, rules }) => {
    const bins = kept.length;
    const every = Math.max(1, Math.ceil(bins / 4));
    const bars = (data, fill) => ({
      type: "bar", stack: "documents", data, barCategoryGap: "8%", barMaxWidth: 36, silent: true, itemStyle: { color: fill },
    });
    const limits = rules.flatMap((rule) => [rule.low, rule.high]).map((value) => place(edges, value)).filter((x) => x !== null);
    return {
      grid: { left: 4, right: 14, top: 8, bottom: 20 },
      xAxis: [
        { type: "category", data: kept.map((_, i) => i), show: false },
        {
          type: "value", min: 0, max: bins, interval: every, position: "bottom", ...bare,
          axisLine: { show: true, onZero: false, lineStyle: { color: colour.slate } },
          axisLabel: { ...label(), fontSize: 10.5, formatter: (i) => (edges[i] === null || edges[i] === undefined ? "" : small(edges[i])), hideOverlap: true, alignMinLabel: "left", alignMaxLabel: "right" },
          axisPointer: { show: false },
        },
      ],
      yAxis: { type: "value", show: false },
      tooltip: {
        formatter: (params) => {
          const i = params[0].dataIndex;
          return tip(`${number(edges[i])} to ${number(edges[i + 1])}`, [["kept", number(kept[i])], ["dropped", number(dropped[i])]]);
        },
      },
      series: [
        bars(kept, colour.gold), bars(dropped, colour.d1),
        {
          type: "line", xAxisIndex: 1, data: [], silent: true,
          markLine: {
            silent: true, symbol: "none", label: { show: false }, animation: false,
            lineStyle: { color: colour.red, type: [4, 3], width: 1.25 },
            data: limits.map((xAxis) => ({ xAxis })),
          },
        },
      ],
    };
  };

  const curve = ({ name, x, points }) => ({
    grid: { left: 50, right: 16, top: 10, bottom: 34 },
    xAxis: {
      type: "value", min: "dataMin", max: "dataMax", ...bare, name: x || "", nameLocation: "middle", nameGap: 22, nameTextStyle: label(), splitNumber: 4,
      axisLine: { show: true, onZero: false, lineStyle: { color: colour.slate } }, axisLabel: { ...label(), formatter: small, hideOverlap: true, alignMaxLabel: "right" },
    },
    yAxis: { type: "value", scale: true, ...bare, splitNumber: 4, axisLabel: { ...label(), formatter: small }, splitLine: { lineStyle: { color: colour.line } } },
    tooltip: { formatter: ([{ value }]) => tip(`${x || "x"} ${number(value[0])}`, [[name, number(value[1])]]) },
    series: [{ type: "line", data: points, showSymbol: false, symbol: "circle", silent: true, lineStyle: { color: colour.gold, width: 1.6 }, itemStyle: { color: colour.gold } }],
  });

  const kinds = { funnel, histogram, curve };

  const draw = (box) => {
    const data = charts[Number(box.dataset.chart)];
    if (data.kind === "funnel") box.style.height = `${data.stages.length * 27 + 32}px`;
    drawn.get(box)?.dispose();
    const chart = echarts.init(box, null, { renderer: "svg" });
    const { tooltip, ...option } = kinds[data.kind](data, box.clientWidth);
    const common = base();
    chart.setOption({ ...common, ...option, tooltip: { ...common.tooltip, ...tooltip } });
    drawn.set(box, chart);
  };

  const boxes = find("[data-chart]");
  const coming = new IntersectionObserver((entries) => {
    for (const { isIntersecting, target } of entries) {
      if (!isIntersecting) continue;
      coming.unobserve(target);
      draw(target);
    }
  }, { rootMargin: "600px" });
  const widths = new Map();
  const resized = new ResizeObserver((entries) => {
    for (const { target } of entries) {
      if (drawn.has(target) && widths.get(target) !== target.clientWidth) draw(target);
      widths.set(target, target.clientWidth);
    }
  });

  // -- theme, print ----------------------------------------------------------------------------

  const system = matchMedia("(prefers-color-scheme: dark)");
  const button = document.getElementById("theme");
  const remembered = (theme) => {
    try {
      if (theme) localStorage.setItem("bateia-theme", theme);
      return localStorage.getItem("bateia-theme");
    } catch {
      return null; // a page opened from a file may have no memory
    }
  };
  const theme = () => root.dataset.theme || (system.matches ? "dark" : "light");
  const dress = (chosen) => {
    if (chosen) root.dataset.theme = chosen;
    readColours();
    button.textContent = theme() === "dark" ? "Light theme" : "Dark theme";
    for (const box of drawn.keys()) draw(box);
  };
  button.hidden = false;
  button.addEventListener("click", () => {
    const other = theme() === "dark" ? "light" : "dark";
    remembered(other);
    dress(other);
  });
  system.addEventListener("change", () => dress());

  let before;
  addEventListener("beforeprint", () => {
    before = root.dataset.theme;
    root.dataset.theme = "light";
    readColours();
    for (const box of boxes) {
      const across = box.matches(".funnel, .curve") ? 660 : 205;
      box.style.width = `${Math.min(across, box.clientWidth || across)}px`;
      draw(box);
    }
  });
  addEventListener("afterprint", () => {
    if (before) root.dataset.theme = before;
    else delete root.dataset.theme;
    for (const box of boxes) box.style.width = "";
    dress();
  });

  // -- tables that sort ------------------------------------------------------------------------

  const cellValue = (row, column) => {
    const cell = row.cells[column];
    const text = cell.classList.contains("n") && cell.title ? cell.title : cell.textContent;
    if (!cell.classList.contains("n")) return text.trim().toLowerCase();
    const value = parseFloat(text.replaceAll(",", ""));
    return Number.isNaN(value) ? -Infinity : value;
  };
  const sortBy = (table, head) => {
    const down = head.ariaSort ? head.ariaSort === "ascending" : head.classList.contains("n");
    for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
    head.ariaSort = down ? "descending" : "ascending";
    const rows = [...table.tBodies[0].rows].map((row) => [cellValue(row, head.cellIndex), row]);
    rows.sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0) * (down ? -1 : 1));
    table.tBodies[0].append(...rows.map(([, row]) => row));
  };
  for (const table of find("table.sortable")) {
    for (const head of table.tHead.rows[0].cells) {
      if (!head.textContent.trim() || head.classList.contains("wide")) continue;
      const sorter = element("button", head.textContent);
      sorter.type = "button";
      head.replaceChildren(sorter);
      sorter.addEventListener("click", () => sortBy(table, head));
    }
  }

  // -- documents: clipped, filtered, a page at a time ------------------------------------------

  const PAGE = 20;
  const form = document.getElementById("filter");
  const more = document.getElementById("more");
  const cards = find("#cards > .sample");
  let limit = PAGE;

  const clip = (text) => {
    if (text.dataset.seen || !text.offsetParent) return;
    text.dataset.seen = "yes";
    text.classList.add("clipped");
    if (text.scrollHeight <= text.clientHeight + 2) return text.classList.remove("clipped");
    const opener = element("button", "Show all", "unclip");
    opener.type = "button";
    opener.ariaExpanded = "false";
    opener.addEventListener("click", () => {
      const clipped = text.classList.toggle("clipped");
      opener.textContent = clipped ? "Show all" : "Show less";
      opener.ariaExpanded = String(!clipped);
    });
    text.after(opener);
  };

  const filter = () => {
    const { verdict, rule, text, found } = form.elements;
    const wanted = text.value.trim().toLowerCase();
    const fits = cards.filter((card) =>
      (!verdict.value || card.dataset.verdict === verdict.value) &&
      (!rule.value || card.dataset.rule === rule.value) &&
      (!wanted || card.textContent.toLowerCase().includes(wanted)));
    const shown = new Set(fits.slice(0, limit));
    for (const card of cards) card.hidden = !shown.has(card);
    for (const card of shown) clip(card.querySelector(".text"));
    found.textContent = `${shown.size} of ${fits.length}`;
    more.hidden = shown.size === fits.length;
  };

  if (form) {
    form.hidden = false;
    const rules = [...new Set(cards.map((card) => card.dataset.rule))].filter(Boolean).sort();
    form.elements.rule.append(...rules.map((rule) => element("option", rule)));
    const restart = () => { limit = PAGE; filter(); };
    form.addEventListener("input", restart);
    form.addEventListener("submit", (event) => event.preventDefault());
    more.addEventListener("click", () => { limit += PAGE; filter(); });
    for (const link of find("[data-rule].to-samples")) {
      link.addEventListener("click", () => {
        form.reset();
        form.elements.rule.value = link.dataset.rule;
        restart();
      });
    }
    filter();
  }

  // -- sections --------------------------------------------------------------------------------

  const contents = document.getElementById("contents");
  const links = new Map();
  for (const section of find("main > section")) {
    const item = element("li");
    const link = element("a", section.querySelector("h2").textContent);
    link.href = `#${section.id}`;
    item.append(link);
    contents.append(item);
    links.set(section, link);
  }
  const reading = new IntersectionObserver((entries) => {
    for (const { isIntersecting, target } of entries) {
      if (!isIntersecting) continue;
      for (const link of links.values()) link.removeAttribute("aria-current");
      links.get(target).setAttribute("aria-current", "true");
    }
  }, { rootMargin: "-20% 0px -75% 0px" });
  for (const section of links.keys()) reading.observe(section);
  find("#quarantine .text").forEach(clip);
  dress(remembered());
  for (const box of boxes) {
    coming.observe(box);
    resized.observe(box);
  }
})();
