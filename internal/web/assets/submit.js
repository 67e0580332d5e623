// Sends the form with the answer to the app (form_post).
"use strict";
document.getElementById("answer").submit();
