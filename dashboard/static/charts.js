// The charts of a page: one span of time, shared by all of them.
//
// Whatever is shown was fetched for the span that is shown: zooming asks the server again, which answers with the
// readings themselves where they are few and with lowest, mean and highest of each bucket where they are many. A gap in
// the readings is a gap in the line. A chart that is out of sight is fetched when it comes into view.

import { changeAt, changeInWords, changesOf, drawChanges } from "./changes.js";
import { drag, listenToHands } from "./chart_hands.js";
import { colours, drawBand, drawMark, drawWindow, inside, lonely, readColours, timeLabels, valueLabels, valueRange } from "./chart_look.js";
import { asReadings, columnsOf } from "./readings.js";
import { SpanBar, View, follow } from "./spans.js";
import { moment, number } from "./words.js";

// One point for so many pixels: closer, and a line only gets heavier.
const PIXELS_PER_POINT = 1.6;
const MOST_POINTS = 1500;
// While a chart follows, what changed is asked for so often at most: it takes the server ten times as long as readings.
const CHANGES_EVERY_MS = 60_000;

/** One chart: one point of one machine. */
class Trace {
  constructor(figure, view, device) {
    Object.assign(this, { figure, view, device, seen: false, stale: true, marks: [], changes: [] });
    this.plot = figure.querySelector(".plot");
    this.output = figure.querySelector("output");
    const data = figure.dataset;
    this.point = data.point;
    this.name = data.name;
    this.unit = data.unit;
    this.low = data.low === undefined ? null : Number(data.low);
    this.high = data.high === undefined ? null : Number(data.high);
    this.expected = data.expected === undefined ? null : Number(data.expected);
    this.ofHealth = "health" in data;
    this.window = data.since ? [Date.parse(data.since) / 1000, data.until ? Date.parse(data.until) / 1000 : null] : null;
    this.data = [[], [], [], []];
    this.chart = new window.uPlot(this.options(), this.data, this.plot);
    figure.trace = this;
    this.tip = this.plot.appendChild(Object.assign(document.createElement("div"), { className: "mark-tip", hidden: true }));
    this.none = this.plot.appendChild(Object.assign(document.createElement("div"), { className: "none", hidden: true, textContent: "No readings in this span" }));
    this.listen();
  }

  options() {
    const font = `12px Plex, system-ui, sans-serif`;
    const axis = { font, stroke: () => colours.muted, grid: { stroke: () => colours.grid, width: 1 }, ticks: { show: false } };
    const hidden = { stroke: "transparent", width: 0, points: { show: false } };
    return {
      width: Math.max(120, this.plot.clientWidth),
      height: Math.max(80, this.plot.clientHeight),
      legend: { show: false },
      padding: [8, 20, 0, 0],
      cursor: {
        y: false,
        drag: { x: true, y: false, setScale: false, dist: 4 },
        points: {
          size: (_, index) => (index === 3 ? 7 : 0),
          width: 1.5,
          stroke: (_, index) => (index === 3 ? colours.trace : "transparent"),
          fill: (_, index) => (index === 3 ? colours.surface : "transparent"),
        },
        ...(this.view.alone ? {} : { sync: { key: "bellwether", scales: ["x", null], filters: { pub: (type) => type === "mousemove" || type === "mouseleave" } } }),
        bind: {
          dblclick: () => () => this.view.back(),
          mousedown: (_, __, handler) => (event) => (event.shiftKey ? drag(event, this.chart, this.view) : handler(event)),
        },
      },
      scales: {
        x: { time: true, range: () => [this.view.from / 1000, this.view.to / 1000] },
        y: { range: (_, low, high) => (this.ofHealth ? [0, 104] : valueRange([low, high, this.low, this.high])) },
      },
      series: [
        {},
        { ...hidden, label: "highest" },
        { ...hidden, label: "lowest" },
        { label: this.name, stroke: () => colours.trace, width: 1.5, points: { size: 4, fill: () => colours.trace, filter: lonely } },
      ],
      bands: [{ series: [1, 2], fill: () => colours["trace-band"] }],
      axes: [
        { ...axis, values: timeLabels, space: 64, size: 28, gap: 4 },
        { ...axis, values: valueLabels, space: 30, size: 52, gap: 4 },
      ],
      hooks: {
        drawAxes: [(u) => this.drawBehind(u)],
        setSelect: [(u) => this.selected(u)],
        setCursor: [(u) => this.pointed(u)],
      },
    };
  }

  // Fetching -----------------------------------------------------------------------------------------------------------

  spanChanged() {
    this.chart.setScale("x", { min: this.view.from / 1000, max: this.view.to / 1000 });
    this.wait(90);
  }

  wait(delay) {
    this.stale = true;
    clearTimeout(this.timer);
    if (this.seen) this.timer = setTimeout(() => this.load(), delay);
  }

  async load() {
    this.asked?.abort();
    const asked = (this.asked = new AbortController());
    const { from, to } = this.view;
    const points = Math.min(MOST_POINTS, Math.max(120, Math.round(this.plot.clientWidth / PIXELS_PER_POINT)));
    const span = { from: new Date(from).toISOString(), to: new Date(to).toISOString() };
    const address = this.ofHealth
      ? `/api/v1/devices/${encodeURIComponent(this.device)}/health?${new URLSearchParams(span)}`
      : `/api/v1/readings?${new URLSearchParams({ device: this.device, point: this.point, points, ...span })}`;
    this.figure.setAttribute("aria-busy", "true");
    try {
      const answer = await fetch(address, { signal: asked.signal, headers: { Accept: "application/json" } });
      if (answer.status === 401) return location.assign(`/login?next=${encodeURIComponent(location.pathname + location.search)}`);
      if (!answer.ok) throw new Error(`the server answered ${answer.status}`);
      const body = await answer.json();
      this.take(this.ofHealth ? asReadings(body) : body);
      this.stale = false;
      this.loadChanges(points, asked.signal);
    } catch (error) {
      if (error.name === "AbortError") return;
      this.say(`Not loaded: ${error.message}`);
    } finally {
      if (this.asked === asked) this.figure.removeAttribute("aria-busy");
    }
  }

  take(answer) {
    const columns = columnsOf(answer);
    this.data = columns;
    this.figure.dataset.bucket = answer.bucket_s === null ? "" : String(answer.bucket_s);
    this.chart.setData(columns, false);
    this.chart.setScale("x", { min: this.view.from / 1000, max: this.view.to / 1000 });
    this.say(columns[3].some((v) => v !== null) ? "" : "No readings in this span");
    this.summarise();
  }

  async loadChanges(points, signal) {
    const { from, to, follow } = this.view;
    const fresh = follow && this.changesIn === to - from && Date.now() - this.changesAt < CHANGES_EVERY_MS;
    if (this.ofHealth || this.view.alone || fresh) return;
    const changes = await changesOf(this.device, this.point, points, from, to, signal);
    if (changes === null) return;
    Object.assign(this, { changes, changesIn: to - from, changesAt: Date.now() });
    this.figure.dataset.changes = String(this.changes.length);
    this.chart.redraw(false);
    this.summarise();
  }

  say(text) {
    this.none.hidden = !text;
    this.none.textContent = text;
  }

  summarise() {
    const [, high, low, mean] = this.data;
    const known = mean.filter((v) => v !== null);
    const last = known.length ? known[known.length - 1] : null;
    if (this.chart.cursor.idx == null) this.show(last, null, null);
    const most = Math.max(...known, ...high.filter((v) => v !== null));
    const least = Math.min(...known, ...low.filter((v) => v !== null));
    const changes = this.changes.map((change) => `; ${changeInWords(change, this.unit)}`).join("");
    this.plot.setAttribute("aria-label", known.length
      ? `${this.name}: between ${number(least)} and ${number(most)} ${this.unit}, last ${number(last)} ${this.unit}${changes}`
      : `${this.name}: no readings in this span`);
  }

  show(value, low, high) {
    this.output.textContent = `${number(value)} `;
    const rest = document.createElement("span");
    rest.className = "band";
    rest.textContent = low !== null && high !== null && low !== high ? `${this.unit} (${number(low)} to ${number(high)})` : this.unit;
    this.output.append(rest);
  }

  // Drawing ------------------------------------------------------------------------------------------------------------

  drawBehind(u) {
    inside(u, () => {
      if (this.window) drawWindow(u, this.window);
      if (this.low !== null || this.high !== null) drawBand(u, this.low, this.high);
      for (const mark of this.marks) drawMark(u, mark, !this.window);
      drawChanges(u, this.changes, colours.accent);
    });
  }

  setMarks(marks) {
    this.marks = marks.filter((mark) => mark.point === this.point);
    const worst = ["critical", "high", "medium", "low"].find((s) => this.marks.some((m) => m.active && m.severity === s && m.bothers));
    this.figure.classList.remove("alarmed", "tone-critical", "tone-high", "tone-medium", "tone-low");
    if (worst) this.figure.classList.add("alarmed", `tone-${worst}`);
    this.chart.redraw(false);
  }

  // Pointing -----------------------------------------------------------------------------------------------------------

  pointed(u) {
    const { idx, left, top } = u.cursor;
    const [times, high, low, mean] = this.data;
    if (idx == null || left < 0 || mean[idx] == null) {
      const known = mean.filter((v) => v !== null);
      this.show(known.length ? known[known.length - 1] : null, null, null);
    } else this.show(mean[idx], low[idx], high[idx]);
    if (left >= 0) this.view.pointAt?.(idx == null || times[idx] == null ? u.posToVal(left, "x") : times[idx]);
    else this.view.pointAt?.(null);
    this.tell(u, left, top);
  }

  tell(u, left, top) {
    const over = u.over.matches(":hover");
    const mark = over && left >= 0 ? this.marks.find((m) => {
      const raised = u.valToPos(m.raised, "x");
      const inside = left >= u.valToPos(m.since, "x") && left <= u.valToPos(m.returned ?? Date.now() / 1000, "x");
      return Math.abs(left - raised) < 9 || (inside && top < 22);
    }) : null;
    const change = over && left >= 0 && !mark ? changeAt(u, this.changes, left) : null;
    this.tip.hidden = !(mark || change);
    if (this.tip.hidden) return;
    this.tip.className = mark ? `mark-tip tone-${mark.severity}` : "mark-tip";
    this.tip.textContent = change ? `Behaviour ${changeInWords(change, this.unit)}` : `${mark.severity[0].toUpperCase()}${mark.severity.slice(1)}: ${mark.message}. Raised ${moment(new Date(mark.raised * 1000))}`;
    const width = this.plot.clientWidth;
    const x = Math.min(Math.max(0, left + 40), Math.max(0, width - this.tip.offsetWidth - 4));
    this.tip.style.transform = `translate(${x}px, 26px)`;
    this.tip.style.top = "0";
    this.tip.style.left = "0";
  }

  selected(u) {
    const { left, width } = u.select;
    if (width < 5) return;
    this.view.show(u.posToVal(left, "x") * 1000, u.posToVal(left + width, "x") * 1000);
    u.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
  }

  listen() {
    const { plot, view } = this;
    plot.tabIndex = 0;
    plot.setAttribute("role", "group");
    plot.setAttribute("aria-roledescription", "chart");
    listenToHands(plot, this.chart, view);
    new ResizeObserver(() => {
      const [width, height] = [plot.clientWidth, plot.clientHeight];
      if (width && (width !== this.chart.width || height !== this.chart.height)) {
        this.chart.setSize({ width, height });
        this.wait(200);
      }
    }).observe(plot);
    new IntersectionObserver((entries) => {
      this.seen = entries[entries.length - 1].isIntersecting;
      if (this.seen && this.stale) this.wait(0);
    }, { rootMargin: "300px" }).observe(plot);
  }
}

function readMarks() {
  const holder = document.getElementById("marks");
  return holder ? JSON.parse(holder.dataset.marks).map((mark) => ({
    ...mark, since: Date.parse(mark.since) / 1000, raised: Date.parse(mark.raised_at) / 1000,
    returned: mark.returned_at ? Date.parse(mark.returned_at) / 1000 : null,
  })) : [];
}

function start(section) {
  readColours();
  const { device, from, to, span } = section.dataset;
  const now = Date.now();
  const view = from ? new View(Date.parse(from), Date.parse(to), false) : new View(now - Number(span) * 1000, now, true);
  section.view = view;
  // A chart with a span of its own: neither the bar nor the address speaks of it.
  view.alone = "alone" in section.dataset;
  const bar = view.alone ? null : document.querySelector("[data-chart-bar]");
  if (bar) new SpanBar(bar, view);
  view.traces = [...section.querySelectorAll(".trace")].map((figure) => new Trace(figure, view, device));
  const mark = () => {
    const marks = readMarks();
    for (const trace of view.traces) trace.setMarks(marks);
  };
  mark();
  document.addEventListener("htmx:afterSettle", mark);
  document.addEventListener("bw:theme", () => {
    readColours();
    for (const trace of view.traces) trace.chart.redraw(false);
  });
  if (span && !view.alone) {
    view.listeners.push(() => {
      const query = view.follow
        ? { span: Math.round(view.span / 1000) }
        : { from: new Date(view.from).toISOString(), to: new Date(view.to).toISOString() };
      clearTimeout(view.naming);
      view.naming = setTimeout(() => history.replaceState(history.state, "", `?${new URLSearchParams(query)}`), 300);
    });
  }
  follow(view);
}

for (const section of document.querySelectorAll("[data-charts]")) start(section);
