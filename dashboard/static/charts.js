// The charts of a page: one span of time, shared by all of them.
//
// Whatever is shown was fetched for the span that is shown: zooming asks the server again, which answers with the
// readings themselves where they are few and with lowest, mean and highest of each bucket where they are many. A gap in
// the readings is a gap in the line. A chart that is out of sight is fetched when it comes into view.

import { changeAt, changeInWords, changesOf, drawChanges } from "./changes.js";
import { moment, number, two } from "./words.js";

const SHORTEST_MS = 60_000;
const LONGEST_MS = 400 * 86_400_000;
// One point for so many pixels: closer, and a line only gets heavier.
const PIXELS_PER_POINT = 1.6;
const MOST_POINTS = 1500;
// While a chart follows, what changed is asked for so often at most: it takes the server ten times as long as readings.
const CHANGES_EVERY_MS = 60_000;

// Colours come from the style sheet; the canvas needs them resolved.
const NAMES = ["trace", "trace-band", "grid", "muted", "text", "surface", "line-strong", "critical", "high", "medium", "low", "medium-soft", "expected", "expected-line", "accent"];
const colours = {};
function readColours() {
  const probe = document.body.appendChild(document.createElement("i"));
  for (const name of NAMES) {
    probe.style.color = `var(--${name})`;
    colours[name] = getComputedStyle(probe).color;
  }
  probe.remove();
}

function faded(colour, alpha) {
  const parts = colour.match(/[\d.]+/g).slice(0, 3).join(", ");
  return `rgba(${parts}, ${alpha})`;
}

const hhmm = (d) => `${two(d.getHours())}:${two(d.getMinutes())}`;
const dayOf = (d) => moment(d).replace(/ \d\d:\d\d$/, "");

/** Labels of the time axis for steps of `incr` seconds: 24 hours, the day where a new one begins. */
function timeLabels(_, splits, __, ___, incr) {
  return splits.map((second) => {
    const d = new Date(second * 1000);
    if (incr >= 300 * 86400) return String(d.getFullYear());
    if (incr >= 27 * 86400) return d.getMonth() === 0 ? String(d.getFullYear()) : dayOf(d).replace(/^\d+ /, "");
    const midnight = d.getHours() === 0 && d.getMinutes() === 0 && d.getSeconds() === 0;
    if (incr >= 86400 || midnight) return dayOf(d);
    return incr >= 60 ? hhmm(d) : `${hhmm(d)}:${two(d.getSeconds())}`;
  });
}

function valueLabels(_, splits, __, ___, incr) {
  let digits = 0;
  while (digits < 6 && Math.abs(incr * 10 ** digits - Math.round(incr * 10 ** digits)) > 1e-6) digits++;
  return splits.map((v) => {
    const [whole, part] = v.toFixed(digits).split(".");
    const grouped = whole.replace(/\B(?=(\d{3})+$)/g, "\u202f").replace("-", "−");
    return part ? `${grouped}.${part}` : grouped;
  });
}

/** Where a line would not show: readings with a gap to both sides. */
function lonely(u, index, shown) {
  if (shown) return null;
  const values = u.data[index];
  const found = [];
  for (let i = 0; i < values.length; i++) {
    if (values[i] != null && values[i - 1] == null && values[i + 1] == null) found.push(i);
  }
  return found;
}

/** A span and who shows it. */
class View {
  constructor(from, to, follow) {
    Object.assign(this, { from, to, follow, traces: [], past: [], listeners: [] });
    this.home = { from, to, follow };
  }

  get span() {
    return this.to - this.from;
  }

  /** Show [from, to) in ms. `remember` lets a double click come back to what was shown before. */
  show(from, to, { follow = false, remember = true } = {}) {
    let span = Math.min(LONGEST_MS, Math.max(SHORTEST_MS, to - from));
    const middle = (from + to) / 2;
    if (span !== to - from) [from, to] = [middle - span / 2, middle + span / 2];
    const now = Date.now();
    if (from > now) [from, to] = [now - span, now];
    if (Math.abs(from - this.from) < 1 && Math.abs(to - this.to) < 1 && follow === this.follow) return;
    if (remember) this.past.push({ from: this.from, to: this.to, follow: this.follow });
    Object.assign(this, { from, to, follow });
    this.changed();
  }

  changed() {
    for (const listener of this.listeners) listener(this);
    for (const trace of this.traces) trace.spanChanged();
  }

  zoom(factor, at = (this.from + this.to) / 2, remember = true) {
    const span = Math.min(LONGEST_MS, Math.max(SHORTEST_MS, this.span * factor));
    const share = (at - this.from) / this.span;
    // Zooming a chart that follows keeps to now.
    if (this.follow && share > 0.9) this.show(Date.now() - span, Date.now(), { follow: true, remember });
    else this.show(at - span * share, at + span * (1 - share), { remember });
  }

  move(share, remember = true) {
    this.show(this.from + this.span * share, this.to + this.span * share, { remember });
  }

  last(span) {
    this.show(Date.now() - span, Date.now(), { follow: true });
  }

  back() {
    const before = this.past.pop() ?? this.home;
    const now = Date.now();
    const shift = before.follow ? now - before.to : 0;
    this.show(before.from + shift, before.to + shift, { follow: before.follow, remember: false });
  }
}

/** Health in the shape of readings. Hours in which the machine was at rest are missing: the line breaks there. */
function asReadings({ time, course, bucket_s }) {
  const columns = { bucket_s, time: [], mean: [], min: [], max: [] };
  const put = (at, value) => {
    columns.time.push(at);
    for (const name of ["mean", "min", "max"]) columns[name].push(value);
  };
  time.forEach((at, index) => {
    const before = index ? Date.parse(time[index - 1]) : Infinity;
    if (Date.parse(at) - before > 1500 * bucket_s) put(new Date(before + 1000 * bucket_s).toISOString(), null);
    put(at, course[index]);
  });
  return columns;
}

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
          mousedown: (_, __, handler) => (event) => (event.shiftKey ? this.drag(event) : handler(event)),
        },
      },
      scales: {
        x: { time: true, range: () => [this.view.from / 1000, this.view.to / 1000] },
        y: { range: (_, low, high) => this.valueRange(low, high) },
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

  valueRange(low, high) {
    if (this.ofHealth) return [0, 104];
    const known = [low, high, this.low, this.high].filter((v) => v !== null && Number.isFinite(v));
    if (!known.length) return [0, 1];
    const [least, most] = [Math.min(...known), Math.max(...known)];
    // Noise on a large mean must not fill the chart: one per cent of the mean at least.
    const spread = Math.max(most - least, 0.01 * Math.max(Math.abs(least), Math.abs(most)), 1e-6);
    const middle = (least + most) / 2;
    return [middle - spread * 0.58, middle + spread * 0.58];
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
    const rolled = answer.bucket_s !== null;
    // A bucket stands for its middle.
    const shift = rolled ? answer.bucket_s / 2 : 0;
    const columns = [[], [], [], []];
    answer.time.forEach((time, index) => {
      columns[0].push(Date.parse(time) / 1000 + shift);
      columns[1].push(rolled ? answer.max[index] : null);
      columns[2].push(rolled ? answer.min[index] : null);
      columns[3].push(answer.mean[index]);
    });
    this.data = columns;
    this.figure.dataset.bucket = rolled ? String(answer.bucket_s) : "";
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
    const { ctx, bbox } = u;
    const ratio = devicePixelRatio;
    const x = (second) => Math.min(bbox.left + bbox.width, Math.max(bbox.left, u.valToPos(second, "x", true)));
    const right = bbox.left + bbox.width;
    ctx.save();
    ctx.beginPath();
    ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
    ctx.clip();
    if (this.window) {
      const begin = x(this.window[0]);
      const end = this.window[1] === null ? x(Date.now() / 1000) : x(this.window[1]);
      ctx.fillStyle = faded(colours.medium, 0.1);
      ctx.fillRect(begin, bbox.top, end - begin, bbox.height);
      ctx.fillStyle = colours.medium;
      if (begin > bbox.left) ctx.fillRect(begin, bbox.top, 2 * ratio, bbox.height);
    }
    if (this.low !== null || this.high !== null) {
      const y = (v, edge) => (v === null ? edge : Math.min(bbox.top + bbox.height, Math.max(bbox.top, u.valToPos(v, "y", true))));
      const top = y(this.high, bbox.top);
      const bottom = y(this.low, bbox.top + bbox.height);
      ctx.fillStyle = colours.expected;
      ctx.fillRect(bbox.left, top, bbox.width, bottom - top);
      ctx.strokeStyle = colours["expected-line"];
      ctx.lineWidth = ratio;
      ctx.setLineDash([5 * ratio, 4 * ratio]);
      for (const [value, edge] of [[this.high, top], [this.low, bottom]]) {
        if (value === null) continue;
        ctx.beginPath();
        ctx.moveTo(bbox.left, edge);
        ctx.lineTo(right, edge);
        ctx.stroke();
      }
      ctx.setLineDash([]);
    }
    for (const mark of this.marks) {
      const [begin, raised, end] = [x(mark.since), x(mark.raised), x(mark.returned ?? Date.now() / 1000)];
      const colour = colours[mark.severity];
      ctx.fillStyle = faded(colour, 0.07);
      if (!this.window) ctx.fillRect(begin, bbox.top, end - begin, bbox.height);
      ctx.fillStyle = colour;
      ctx.fillRect(begin, bbox.top, Math.max(end - begin, 3 * ratio), 4 * ratio);
      if (raised > bbox.left && raised < right) {
        ctx.fillRect(raised - ratio / 2, bbox.top, 1.5 * ratio, bbox.height);
        ctx.beginPath();
        ctx.moveTo(raised - 5 * ratio, bbox.top);
        ctx.lineTo(raised + 5 * ratio, bbox.top);
        ctx.lineTo(raised, bbox.top + 9 * ratio);
        ctx.fill();
      }
    }
    drawChanges(u, this.changes, colours.accent);
    ctx.restore();
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

  /** Shift and drag moves through time. */
  drag(event) {
    event.preventDefault();
    const { from, to, span } = this.view;
    const perPixel = span / this.chart.over.clientWidth;
    this.view.past.push({ from, to, follow: this.view.follow });
    const move = (e) => {
      const by = (event.clientX - e.clientX) * perPixel;
      this.view.show(from + by, to + by, { remember: false });
    };
    const up = () => removeEventListener("mousemove", move);
    addEventListener("mousemove", move);
    addEventListener("mouseup", up, { once: true });
    return null;
  }

  listen() {
    const { plot, view } = this;
    const over = this.chart.over;
    plot.tabIndex = 0;
    plot.setAttribute("role", "group");
    plot.setAttribute("aria-roledescription", "chart");
    // The wheel belongs to the page until a chart has been clicked or a zoom key is held.
    plot.addEventListener("wheel", (event) => {
      const engaged = event.ctrlKey || event.metaKey || document.activeElement === plot;
      if (Math.abs(event.deltaX) > Math.abs(event.deltaY)) {
        event.preventDefault();
        view.move(event.deltaX / 1200, false);
      } else if (engaged) {
        event.preventDefault();
        const box = over.getBoundingClientRect();
        const at = this.chart.posToVal(event.clientX - box.left, "x") * 1000;
        view.zoom(Math.exp(Math.max(-60, Math.min(60, event.deltaY)) / 200), at, false);
      }
    }, { passive: false });
    plot.addEventListener("mouseleave", () => document.activeElement === plot && !plot.matches(":focus-visible") && plot.blur());
    plot.addEventListener("keydown", (event) => {
      const act = {
        ArrowLeft: () => view.move(-0.2), ArrowRight: () => view.move(0.2), "+": () => view.zoom(0.5), "=": () => view.zoom(0.5),
        "-": () => view.zoom(2), Backspace: () => view.back(), End: () => view.last(view.span),
      }[event.key];
      if (!act || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      act();
    });
    this.touch(over);
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

  /** One finger sideways moves, two zoom; up and down stays the page's. */
  touch(over) {
    const fingers = new Map();
    let begin = null;
    const at = () => [...fingers.values()].sort((a, b) => a - b);
    const start = () => {
      begin = fingers.size ? { xs: at(), from: this.view.from, to: this.view.to } : null;
    };
    over.addEventListener("pointerdown", (event) => {
      if (event.pointerType !== "touch") return;
      if (!fingers.size) this.view.past.push({ from: this.view.from, to: this.view.to, follow: this.view.follow });
      fingers.set(event.pointerId, event.clientX);
      start();
    });
    over.addEventListener("pointermove", (event) => {
      if (!fingers.has(event.pointerId)) return;
      fingers.set(event.pointerId, event.clientX);
      const box = over.getBoundingClientRect();
      const span = begin.to - begin.from;
      const value = (x) => begin.from + ((x - box.left) / box.width) * span;
      const xs = at();
      if (xs.length === 1) {
        if (Math.abs(xs[0] - begin.xs[0]) < 6) return;
        const by = ((begin.xs[0] - xs[0]) / box.width) * span;
        this.view.show(begin.from + by, begin.to + by, { remember: false });
      } else if (xs.length === 2 && begin.xs.length === 2) {
        const wanted = (span * Math.max(20, begin.xs[1] - begin.xs[0])) / Math.max(20, xs[1] - xs[0]);
        const held = value((begin.xs[0] + begin.xs[1]) / 2);
        const share = ((xs[0] + xs[1]) / 2 - box.left) / box.width;
        this.view.show(held - wanted * share, held + wanted * (1 - share), { remember: false });
      }
    });
    for (const type of ["pointerup", "pointercancel", "pointerleave"]) {
      over.addEventListener(type, (event) => {
        if (fingers.delete(event.pointerId)) start();
      });
    }
  }
}

/** The row of buttons above the charts. */
class Bar {
  constructor(bar, view) {
    this.bar = bar;
    this.text = bar.querySelector("[data-span-text]");
    this.follow = bar.querySelector("[data-follow]");
    bar.addEventListener("click", (event) => {
      const button = event.target.closest("button");
      if (!button) return;
      const { span, step, zoom } = button.dataset;
      if (span) view.last(Number(span) * 1000);
      else if (step) view.move(Number(step));
      else if (zoom) view.zoom(Number(zoom));
      else if ("reset" in button.dataset) view.show(view.home.from, view.home.to, { follow: view.home.follow });
      else if ("follow" in button.dataset) view.follow ? view.show(view.from, view.to, { follow: false }) : view.last(view.span);
    });
    view.listeners.push(() => this.tell(view));
    view.pointAt = (second) => this.point(view, second);
    this.tell(view);
  }

  tell(view) {
    for (const button of this.bar.querySelectorAll("button[data-span]")) {
      const pressed = view.follow && Math.abs(view.span - Number(button.dataset.span) * 1000) < 1500;
      button.setAttribute("aria-pressed", String(pressed));
    }
    this.follow?.setAttribute("aria-pressed", String(view.follow));
    this.words = `${exact(view.from, view.span)} to ${view.follow ? "now" : exact(view.to, view.span)}`;
    this.text.textContent = this.words;
  }

  point(view, second) {
    this.text.textContent = second === null ? this.words : exact(second * 1000, Math.min(view.span, 3_600_000));
  }
}

function exact(ms, span) {
  const d = new Date(ms);
  return span <= 3_600_000 ? `${moment(d)}:${two(d.getSeconds())}` : moment(d);
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
  if (bar) new Bar(bar, view);
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

/** While the span reaches to now, it moves along and asks for what is new: more often the shorter it is. */
function follow(view) {
  const wait = view.alone ? 60_000 : Math.min(15_000, Math.max(2_000, view.span / 300));
  setTimeout(() => {
    if (view.follow && document.visibilityState === "visible") {
      const now = Date.now();
      const span = view.span;
      Object.assign(view, { from: now - span, to: now });
      for (const trace of view.traces) trace.wait(0);
    }
    follow(view);
  }, wait);
}

for (const section of document.querySelectorAll("[data-charts]")) start(section);
