// Keys for whoever works through many reviews. What they do is also there as links, buttons and forms.
"use strict";

(() => {
  const typing = (place) => place.closest("input:not([type=radio]), textarea, select, [contenteditable]");

  const follow = (relation) => {
    const link = document.querySelector(`a[rel=${relation}]`);
    if (link) link.click();
    return Boolean(link);
  };

  // In the queue: from one pair to the next. On a pair: to the neighbour in the queue.
  const step = (by) => {
    const items = [...document.querySelectorAll("a[data-item]")];
    if (!items.length) return follow(by > 0 ? "next" : "prev");
    const now = items.indexOf(document.activeElement);
    const wanted = now < 0 ? (by > 0 ? 0 : items.length - 1) : now + by;
    items[Math.min(items.length - 1, Math.max(0, wanted))].focus();
    return true;
  };

  const choose = (decision) => {
    const choice = document.querySelector(`input[name=decision][value=${decision}]`);
    if (!choice) return false;
    choice.checked = true;
    choice.form.elements.why.focus();
    return true;
  };

  const confirm = () => {
    const chosen = document.querySelector("input[name=decision]:checked");
    if (!chosen) return false;
    chosen.form.requestSubmit();
    return true;
  };

  const help = () => {
    const keys = document.querySelector("details[data-keys]");
    if (!keys) return false;
    keys.open = !keys.open;
    if (keys.open) keys.querySelector("summary").focus();
    return true;
  };

  const deeds = {
    j: () => step(1),
    k: () => step(-1),
    ArrowDown: () => step(1),
    ArrowUp: () => step(-1),
    s: () => choose("same"),
    d: () => choose("different"),
    "?": help,
  };

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    if (event.key === "Escape" && typing(event.target)) return event.target.blur();
    if (typing(event.target)) return;
    const arrow = event.key.startsWith("Arrow");
    // Arrows move between the two choices, and scroll a page that has no neighbour.
    if (arrow && event.target.matches("input[type=radio]")) return;
    const onControl = event.target.closest("a, button, summary");
    const deed = event.key === "Enter" && !onControl ? confirm : deeds[event.key];
    if (deed && deed()) event.preventDefault();
  });
})();
