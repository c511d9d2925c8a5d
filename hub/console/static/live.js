// Keeps what is marked `data-live` as it is now: the server says when there is something new, and the page's
// own address is read again. Without this script the page is read again by its link "Reload".
"use strict";

(() => {
  const AGAIN_MS = 60000;
  const region = document.querySelector("[data-live]");
  if (!region || !window.EventSource) return;
  const on = document.querySelector("[data-live-on]");
  const off = document.querySelector("[data-live-off]");
  let seen = region.dataset.seen;
  let busy = false;
  let again = false;
  let stale = false;

  const show = (alive) => {
    on.hidden = !alive;
    off.hidden = alive;
  };

  const renew = async () => {
    if (busy) {
      again = true;
      return;
    }
    busy = true;
    try {
      const answer = await fetch(location.href, { credentials: "same-origin" });
      if (answer.redirected) return location.reload();
      show(answer.ok);
      if (!answer.ok) return;
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const fresh = page.querySelector("[data-live]");
      // Whoever is in there with the keyboard is not thrown out: what is new comes when they leave.
      stale = region.contains(document.activeElement);
      if (fresh && !stale) region.replaceChildren(...fresh.childNodes);
    } finally {
      busy = false;
      if (again) {
        again = false;
        renew();
      }
    }
  };

  region.addEventListener("focusout", (event) => {
    if (stale && !region.contains(event.relatedTarget)) renew();
  });

  const listen = () => {
    const source = new EventSource(region.dataset.live);
    source.addEventListener("open", () => show(true));
    source.addEventListener("error", () => {
      show(false);
      // Refused, as when too many listen: a browser does not try that again by itself.
      if (source.readyState === EventSource.CLOSED) setTimeout(listen, AGAIN_MS);
    });
    source.addEventListener("seen", (event) => {
      if (event.data === seen) return;
      const first = seen === "";
      seen = event.data;
      if (!first) renew();
    });
  };
  listen();
})();
