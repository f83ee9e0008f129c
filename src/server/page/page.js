"use strict";
// Refreshes what is between the head and the foot of the page, without moving what is being read: nodes that have not
// changed stay the same nodes, with their focus and their selection. Without a script the page reloads itself.
(() => {
  const EVERY = 5000;
  const live = document.getElementById("live");
  const state = document.getElementById("state");
  const pause = document.getElementById("pause");
  const own = document.querySelector("script").textContent;
  let paused = false;
  let since = null;
  let timer = 0;

  const say = (text) => {
    if (state.textContent !== text) state.textContent = text;
    document.body.classList.toggle("old", since !== null);
  };

  function morph(here, there) {
    if (here.nodeName !== there.nodeName) {
      here.replaceWith(document.importNode(there, true));
      return;
    }
    if (here.nodeType !== Node.ELEMENT_NODE) {
      if (here.nodeValue !== there.nodeValue) here.nodeValue = there.nodeValue;
      return;
    }
    for (const { name } of [...here.attributes]) if (!there.hasAttribute(name)) here.removeAttribute(name);
    for (const { name, value } of there.attributes) if (here.getAttribute(name) !== value) here.setAttribute(name, value);
    const [old, fresh] = [[...here.childNodes], [...there.childNodes]];
    fresh.forEach((child, at) => (old[at] ? morph(old[at], child) : here.append(document.importNode(child, true))));
    old.slice(fresh.length).forEach((child) => child.remove());
  }

  async function refresh() {
    try {
      const answer = await fetch(location.pathname, { headers: { accept: "text/html" }, signal: AbortSignal.timeout(4000) });
      if (!answer.ok) throw new Error(answer.statusText);
      const text = await answer.text();
      if (paused) return;
      const page = new DOMParser().parseFromString(text, "text/html");
      // Another version of the program answers.
      if (page.querySelector("script").textContent !== own) return location.reload();
      morph(live, page.getElementById("live"));
      document.title = page.title;
      since = null;
      say(`Refreshed every ${EVERY / 1000} s`);
    } catch {
      if (paused) return;
      since ??= new Date().toISOString().slice(11, 19);
      say(`No answer since ${since} UTC: the figures are old`);
    }
  }

  async function loop() {
    clearTimeout(timer);
    if (!paused && !document.hidden) {
      await refresh();
      timer = setTimeout(loop, EVERY);
    }
  }

  pause.hidden = false;
  pause.addEventListener("click", () => {
    paused = !paused;
    pause.textContent = paused ? "Resume" : "Pause";
    say(paused ? "Paused" : `Refreshed every ${EVERY / 1000} s`);
    loop();
  });
  document.addEventListener("visibilitychange", loop);
  say(`Refreshed every ${EVERY / 1000} s`);
  timer = setTimeout(loop, EVERY);
})();
