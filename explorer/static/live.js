// Keeps the part of the page that changes as new as the server's, without a reload. Without this file pages work too.
"use strict";
(() => {
  const EVERY = 5000;                       // milliseconds
  const live = document.getElementById("live"), pulse = document.getElementById("pulse");
  let tag = "", wait = EVERY;
  if (!live || !pulse) return;

  // What the mouse or the keyboard is at stays: a focused link is found again by its id.
  function put(fresh) {
    const at = document.activeElement && live.contains(document.activeElement) ? document.activeElement.id : "";
    live.replaceChildren(...fresh.childNodes);
    const again = at && document.getElementById(at);
    if (again) again.focus({preventScroll: true});
  }

  async function look() {
    if (!document.hidden && !window.getSelection().toString()) {
      try {
        const answer = await fetch(location.href, {headers: tag ? {"If-None-Match": tag} : {}, cache: "no-store"});
        if (answer.status === 200) {
          tag = answer.headers.get("ETag") || "";
          const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById("live");
          if (fresh && fresh.innerHTML !== live.innerHTML) put(fresh);
        }
        if (answer.status !== 200 && answer.status !== 304) throw new Error(answer.status);
        say("Live.", false);
        wait = EVERY;
      } catch (error) {
        say("Not live: the explorer does not answer. What you see may be old.", true);
        wait = Math.min(2 * wait, 60000);
      }
    }
    setTimeout(look, wait);
  }

  function say(words, trouble) {
    if (pulse.textContent !== words) pulse.textContent = words;
    pulse.classList.toggle("trouble", trouble);
  }

  // A chosen filter shows at once; with the keyboard too, because a change is only told when the choice is made.
  document.querySelectorAll("form[data-live-form] select").forEach(
    (choice) => choice.addEventListener("change", () => choice.form.requestSubmit()));
  setTimeout(look, EVERY);
})();
