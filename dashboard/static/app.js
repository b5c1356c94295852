// What every page does by itself: times in the reader's zone, clocks that count, colours, and news from the server.
//
// A page is whole without this script. When the connection is lost the page says so and keeps what it shows; what was
// missed is fetched once it is back.

import { duration, moment } from "./words.js";

// A form that is sent before htmx has seen it only loads its page anew: until then none can be (app.css).
// A filter chosen before that is asked for now.
document.addEventListener("DOMContentLoaded", () => {
  document.documentElement.dataset.ready = "";
  for (const form of document.querySelectorAll("form.filters[hx-get]")) {
    if ([...form.elements].some(wasChanged)) form.requestSubmit();
  }
});

function wasChanged(field) {
  if (field.type !== "select-one") return field.type !== "submit" && field.value !== field.defaultValue;
  return field.selectedIndex !== Math.max(0, [...field.options].findIndex((option) => option.defaultSelected));
}

// Times ----------------------------------------------------------------------------------------------------------------

const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;

function setCookie(name, value) {
  document.cookie = `${name}=${encodeURIComponent(value)}; path=/; max-age=31536000; samesite=strict`;
}

if (zone && !document.cookie.includes(`bw_zone=${encodeURIComponent(zone)}`)) setCookie("bw_zone", zone);

function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

function tellTimes(root) {
  const now = Date.now();
  for (const time of root.querySelectorAll("time[data-when]")) setText(time, moment(new Date(time.dateTime)));
  for (const time of root.querySelectorAll("time[data-ago]")) {
    const passed = (now - Date.parse(time.dateTime)) / 1000;
    setText(time, passed < 5 ? "just now" : `${duration(passed)} ago`);
  }
}

// Clocks of tickets: the server's dashboard.clocks.face, counted on.
function tellClocks(root) {
  const now = Date.now();
  for (const clock of root.querySelectorAll("[data-clock]")) {
    if (clock.dataset.paused || clock.dataset.stopped) continue;
    const { left: leftThen, at, until } = clock.dataset;
    const left = leftThen - Math.max(0, Math.min(now, Date.parse(until)) - Date.parse(at)) / 1000;
    const tone = left < 0 ? "breached" : now >= Date.parse(clock.dataset.warn) ? "due" : "running";
    for (const name of ["running", "due", "breached"]) clock.classList.toggle(`tone-${name}`, name === tone);
    setText(clock.querySelector(".left"), left < 0 ? `overdue by ${duration(left)}` : `${duration(left)} left`);
  }
}

function tick() {
  tellTimes(document);
  tellClocks(document);
}
tick();
setInterval(tick, 1000);

// Colours --------------------------------------------------------------------------------------------------------------

const THEMES = ["auto", "light", "dark"];
for (const button of document.querySelectorAll("[data-theme-switch]")) {
  button.addEventListener("click", () => {
    const root = document.documentElement;
    const next = THEMES[(THEMES.indexOf(root.dataset.theme) + 1) % THEMES.length];
    root.dataset.theme = next;
    setCookie("bw_theme", next);
    button.title = `Colours: ${next}`;
    button.setAttribute("aria-label", button.title);
    document.dispatchEvent(new CustomEvent("bw:theme"));
  });
}
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => document.dispatchEvent(new CustomEvent("bw:theme")));

// Pop-ups: one at a time, closed by Escape or a click beside. ------------------------------------------------------------

document.addEventListener("click", (event) => {
  for (const pop of document.querySelectorAll("details[data-pop][open]")) if (!pop.contains(event.target)) pop.open = false;
});
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  for (const pop of document.querySelectorAll("details[data-pop][open]")) {
    pop.open = false;
    pop.querySelector("summary").focus();
  }
});
document.addEventListener("toggle", (event) => {
  const pop = event.target;
  if (!pop.matches?.("details[data-pop]") || !pop.open) return;
  const form = pop.querySelector("form");
  pop.classList.remove("turned");
  const { left, right } = form.getBoundingClientRect();
  if (left < 8 || right > innerWidth - 8) pop.classList.add("turned");
  pop.querySelector("input:not([type=hidden]), textarea, select")?.focus({ preventScroll: true });
}, true);

// Parts of the page that are refreshed ------------------------------------------------------------------------------------

let acting = false; // a form of the reader's own is being answered: then its place may change under it
let actor = null; // that form

const busy = (form) => form.contains(document.activeElement) || [...form.elements].some((field) =>
  field.type !== "hidden" && "defaultValue" in field && field.value !== field.defaultValue);

if (window.Idiomorph) {
  const callbacks = window.Idiomorph.defaults.callbacks;
  // What is typed into a step of a work order stays, whatever other form is answered.
  callbacks.beforeNodeMorphed = (old) => !(old instanceof HTMLFormElement && busy(old))
    || (acting && (old === actor || !old.matches(".work-form")));
  callbacks.beforeNodeRemoved = (old) => acting || !(old instanceof Element && old.matches("details[open]"));
  // What the reader has opened stays open, but for where the form was sent from.
  callbacks.beforeAttributeUpdated = (name, node) =>
    !(name === "open" && node.matches("details") && !(acting && node.contains(actor)));
}

document.addEventListener("htmx:beforeSwap", (event) => {
  acting = event.detail.requestConfig?.verb !== "get";
  actor = event.detail.requestConfig?.elt.closest("form");
});
// In the same breath as the swap: later, it would undo what the reader has begun to type.
document.addEventListener("htmx:afterSwap", (event) => {
  if (acting) event.detail.requestConfig?.elt.closest("form")?.reset();
  acting = false;
});
document.addEventListener("htmx:afterSettle", tick);

const trouble = document.getElementById("trouble");
function complain(text) {
  if (!trouble) return;
  trouble.hidden = !text;
  if (text) setText(trouble.querySelector("span"), text);
}

document.addEventListener("htmx:responseError", async (event) => {
  const status = event.detail.xhr.status;
  if (status === 401) {
    location.assign(`/login?next=${encodeURIComponent(location.pathname + location.search)}`);
    return;
  }
  let why = "";
  try {
    const { detail, errors = [] } = JSON.parse(event.detail.xhr.responseText);
    const at = errors[0]?.pointer.split(".").at(-1).replaceAll("_", " ");
    why = at && !detail.endsWith(errors[0].detail) ? `${at}: ${errors[0].detail}` : detail;
  } catch {
    why = `the server answered ${status}`;
  }
  complain(`That did not work: ${why}.`);
  setTimeout(() => complain(lost ? LOST : ""), 8000);
});
document.addEventListener("htmx:sendError", () => complain(LOST));

// News -----------------------------------------------------------------------------------------------------------------

const LOST = "Connection lost. What you see may be out of date; trying again.";
let lost = false;
let waiting = null;

function changed() {
  // Ten alarms in a second are one look at the server.
  waiting ??= setTimeout(() => {
    waiting = null;
    document.body.dispatchEvent(new CustomEvent("bw:changed"));
  }, 600);
}

function tell(message) {
  const said = document.getElementById("said");
  if (said) said.textContent = message;
}

// A clock that runs short or out is told whom it concerns: whoever has the ticket, and the roles it is escalated to.
function escalate(kind, news) {
  const { login, role } = document.body.dataset;
  if (!news.to.includes(role) && news.assignee !== login) return;
  const promise = { assignment: "Assignment", response: "Response", on_site: "On site", resolution: "Resolution" }[news.clock];
  const words = `${promise} ${kind === "ticket.clock_breached" ? "overdue" : "due soon"}: ${news.title}`;
  tell(words);
  const bar = document.getElementById("escalation");
  const link = bar.querySelector("a");
  link.href = `/tickets/${encodeURIComponent(news.ticket_id)}`;
  setText(link, words);
  bar.hidden = location.pathname === `/tickets/${news.ticket_id}`;
}
document.querySelector("#escalation button")?.addEventListener("click", (event) => {
  event.target.closest("#escalation").hidden = true;
});

function linkState(state, text) {
  const link = document.querySelector("[data-link]");
  if (!link) return;
  link.dataset.link = state;
  setText(link.querySelector(".text"), text);
  link.title = text;
}

function gone() {
  lost = true;
  linkState("lost", "Connection lost");
  complain(LOST);
}

function back() {
  linkState("live", "Live");
  if (!lost) return;
  lost = false;
  complain("");
  changed();
}

let source = null;
// What this page has heard of: at first, what the server had read when it wrote the page.
let place = document.body.dataset.live;

function listen() {
  source?.close();
  source = new EventSource(`/api/v1/events?after=${place}`);
  const own = source;
  let dropped = null;
  source.addEventListener("open", () => {
    clearTimeout(dropped);
    dropped = null;
    back();
  });
  source.addEventListener("error", () => {
    // The browser tries again by itself; a blip of a few seconds is not worth a word.
    dropped ??= setTimeout(() => {
      dropped = null;
      if (own !== source) return;
      gone();
      if (own.readyState === EventSource.CLOSED) setTimeout(() => own === source && listen(), 5000);
    }, 4000);
  });
  for (const kind of document.body.dataset.kinds.split(" ")) {
    source.addEventListener(kind, (event) => {
      place = event.lastEventId;
      changed();
      try {
        const news = JSON.parse(event.data);
        if (kind === "alarm.raised") tell(`New ${news.severity} alarm: ${news.message}`);
        if (kind === "ticket.opened") tell(`New ticket: ${news.title}`);
        if (news.clock) escalate(kind, news);
      } catch {
        // News that cannot be read still means that something has changed.
      }
    });
  }
  source.addEventListener("reset", (event) => {
    place = event.lastEventId;
    changed();
  });
}
if (place) {
  listen();
  addEventListener("pagehide", () => source.close());
  addEventListener("pageshow", (event) => event.persisted && listen());
  addEventListener("offline", gone);
  addEventListener("online", listen);
}

// A link from a mail arrives without the session, which no other site sends: from here it is sent.
const signIn = document.querySelector('form[action="/login"]');
if (signIn?.elements.next.value) {
  fetch("/login/state").then((answer) => answer.json()).then((state) => {
    if (state.signed_in) location.replace(signIn.elements.next.value);
  });
}
