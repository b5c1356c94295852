// The span of time that a page's charts show: moved, zoomed, followed to now, and said in words above them.

import { moment, two } from "./words.js";

const SHORTEST_MS = 60_000;
const LONGEST_MS = 400 * 86_400_000;

/** A span and who shows it. */
export class View {
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

/** The row of buttons above the charts. */
export class SpanBar {
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

/** While the span reaches to now, it moves along and asks for what is new: more often the shorter it is. */
export function follow(view) {
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
