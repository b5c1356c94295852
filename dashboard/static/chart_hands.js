// Hands on a chart: wheel, keys and fingers move and zoom the span that it shows.

/** Shift and drag moves through time. */
export function drag(event, chart, view) {
  event.preventDefault();
  const { from, to, span } = view;
  const perPixel = span / chart.over.clientWidth;
  view.past.push({ from, to, follow: view.follow });
  const move = (e) => {
    const by = (event.clientX - e.clientX) * perPixel;
    view.show(from + by, to + by, { remember: false });
  };
  const up = () => removeEventListener("mousemove", move);
  addEventListener("mousemove", move);
  addEventListener("mouseup", up, { once: true });
  return null;
}

/** The wheel and the keys, once the chart has been chosen; fingers at once. */
export function listenToHands(plot, chart, view) {
  const over = chart.over;
  // The wheel belongs to the page until a chart has been clicked or a zoom key is held.
  plot.addEventListener("wheel", (event) => {
    const engaged = event.ctrlKey || event.metaKey || document.activeElement === plot;
    if (Math.abs(event.deltaX) > Math.abs(event.deltaY)) {
      event.preventDefault();
      view.move(event.deltaX / 1200, false);
    } else if (engaged) {
      event.preventDefault();
      const box = over.getBoundingClientRect();
      const at = chart.posToVal(event.clientX - box.left, "x") * 1000;
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
  touch(over, view);
}

/** One finger sideways moves, two zoom; up and down stays the page's. */
function touch(over, view) {
  const fingers = new Map();
  let begin = null;
  const at = () => [...fingers.values()].sort((a, b) => a - b);
  const start = () => {
    begin = fingers.size ? { xs: at(), from: view.from, to: view.to } : null;
  };
  over.addEventListener("pointerdown", (event) => {
    if (event.pointerType !== "touch") return;
    if (!fingers.size) view.past.push({ from: view.from, to: view.to, follow: view.follow });
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
      view.show(begin.from + by, begin.to + by, { remember: false });
    } else if (xs.length === 2 && begin.xs.length === 2) {
      const wanted = (span * Math.max(20, begin.xs[1] - begin.xs[0])) / Math.max(20, xs[1] - xs[0]);
      const held = value((begin.xs[0] + begin.xs[1]) / 2);
      const share = ((xs[0] + xs[1]) / 2 - box.left) / box.width;
      view.show(held - wanted * share, held + wanted * (1 - share), { remember: false });
    }
  });
  for (const type of ["pointerup", "pointercancel", "pointerleave"]) {
    over.addEventListener(type, (event) => {
      if (fingers.delete(event.pointerId)) start();
    });
  }
}
