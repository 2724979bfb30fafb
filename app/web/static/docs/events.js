"use strict";
fetch("/asyncapi.json")
  .then((response) => response.text())
  .then((schema) =>
    AsyncApiStandalone.render(
      { schema, config: { show: { sidebar: true, errors: true }, expand: { messageExamples: false } } },
      document.getElementById("asyncapi"),
    ),
  );
