// Gives the answer to the window that opened or framed this one, if it is of the
// app's own origin (okta_post_message): the browser keeps it from any other.
"use strict";
(() => {
  const answer = document.getElementById("answer");
  const message = {};
  for (const part of answer.querySelectorAll("data")) message[part.title] = part.value;
  const to = window.opener || (window.parent !== window ? window.parent : null);
  if (to && answer.dataset.target) to.postMessage(message, answer.dataset.target);
})();
