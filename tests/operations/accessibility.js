// What a page does wrong for keyboards, screen readers and weak eyes. An expression for the browser: a list of sentences.
(() => {
  const wrong = [];
  const all = (selector) => [...document.querySelectorAll(selector)];
  const say = (what, element) => wrong.push(element ? `${what}: ${element.outerHTML.slice(0, 160)}` : what);
  const named = (element) => {
    const ids = (element.getAttribute("aria-labelledby") || "").split(" ").filter(Boolean);
    const text = ids.map((id) => document.getElementById(id)?.textContent || "").join(" ");
    return (element.getAttribute("aria-label") || text || element.textContent).trim() !== "";
  };

  if (!/^[a-z]{2}$/.test(document.documentElement.lang)) say("the page has no language");
  if (!document.title.trim()) say("the page has no title");
  for (const one of ["h1", "main", "body > header", "nav", "body > footer"]) {
    if (all(one).length !== 1) say(`there is not exactly one ${one}`);
  }
  let level = 0;
  for (const heading of all("h1, h2, h3, h4, h5, h6")) {
    const own = Number(heading.tagName[1]);
    if (own > level + 1) say("a heading skips a level", heading);
    level = own;
  }
  for (const input of all("input:not([type=hidden]), select, textarea")) {
    if (![...(input.labels || [])].some((label) => label.textContent.trim())) say("an input has no label", input);
  }
  for (const element of all("a[href], button, summary, [role=region], nav, form, section")) {
    if (!named(element)) say("an element has no name", element);
  }
  for (const form of all("main form")) {
    if (!form.getAttribute("aria-label")) say("a form has no name of its own", form);
  }
  for (const cell of all("th")) {
    if (!["col", "row"].includes(cell.scope)) say("a table's header has no scope", cell);
  }
  for (const table of all("table")) {
    if (!table.querySelector("thead th")) say("a table has no headers", table);
  }
  for (const element of all("[tabindex]")) {
    if (element.tabIndex > 0) say("a tabindex changes the order", element);
  }
  for (const picture of all("svg")) {
    const isHidden = picture.closest("[aria-hidden=true]");
    if (!isHidden && (picture.getAttribute("role") !== "img" || !named(picture))) say("a picture has no text", picture);
  }
  const ids = all("[id]").map((element) => element.id);
  if (new Set(ids).size !== ids.length) say("an id is there twice");
  for (const element of all("[aria-labelledby]")) {
    for (const id of element.getAttribute("aria-labelledby").split(" ")) {
      if (!document.getElementById(id)) say("a label does not exist", element);
    }
  }
  if (all("[style], script, [onclick]").length) say("a style or a script is in the page");
  if (document.documentElement.scrollWidth > innerWidth) say("the page is wider than the window");
  for (const target of all("button, select, input:not([type=hidden]):not([type=checkbox])")) {
    if (target.getBoundingClientRect().height < 24) say("a target is smaller than 24 pixels", target);
  }

  // https://www.w3.org/TR/WCAG22/#dfn-contrast-ratio
  const channels = (color) => color.match(/[\d.]+/g).map(Number);
  const isClear = (color) => color === "transparent" || channels(color)[3] === 0;
  const luminance = (color) => {
    const [r, g, b] = channels(color).map((c) => (c / 255 <= 0.04045 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const contrast = (one, other) => {
    const [low, high] = [luminance(one), luminance(other)].sort((a, b) => a - b);
    return (high + 0.05) / (low + 0.05);
  };
  const behind = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const color = getComputedStyle(at).backgroundColor;
      if (!isClear(color)) return color;
    }
    return "rgb(255, 255, 255)";
  };
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const element = texts.currentNode.parentElement;
    if (!texts.currentNode.data.trim() || !element.getClientRects().length) continue;
    const style = getComputedStyle(element);
    const ratio = contrast(element.closest("svg") ? style.fill : style.color, behind(element));
    if (!(ratio >= 4.5)) say(`the contrast of a text is ${ratio.toFixed(2)}`, element);
  }
  for (const element of all("svg rect, svg .axis")) {
    const style = getComputedStyle(element);
    const ratio = contrast(element.tagName === "line" ? style.stroke : style.fill, behind(element));
    if (!(ratio >= 3)) say(`the contrast of a shape is ${ratio.toFixed(2)}`, element);
  }
  for (const element of all("input:not([type=hidden]), select, button")) {
    const ratio = contrast(getComputedStyle(element).borderTopColor, behind(element.parentElement));
    if (!(ratio >= 3)) say(`the contrast of an edge is ${ratio.toFixed(2)}`, element);
  }
  return wrong;
})()
