// What the theme lacks: labels for the cells of tables on a phone, and commands without their prompt.

// Characters in a cell, beyond which so many columns do not fit a phone side by side.
const longest = (columns) => (columns < 3 ? Infinity : columns === 3 ? 90 : 40);

document$.subscribe(() => {
  for (const table of document.querySelectorAll(".md-typeset table:not([class])")) {
    const heads = Array.from(table.querySelectorAll("thead th"), (one) => one.textContent);
    const cells = Array.from(table.querySelectorAll("tbody td"));
    const stacks = cells.some((one) => one.textContent.length > longest(heads.length));
    for (const one of cells) if (stacks && one.cellIndex) one.dataset.label = heads[one.cellIndex];
    if (heads.length > 3 || stacks) table.dataset.narrow = stacks ? "stacks" : "moves";
  }
});

// Before the theme copies the block as it is shown, with prompts and output.
document.addEventListener(
  "click",
  ({ target }) => {
    const button = target.closest("[data-clipboard-target]");
    const code = button && document.querySelector(button.dataset.clipboardTarget);
    if (!code || !code.querySelector(".gp")) return;
    const typed = code.cloneNode(true);
    for (const one of typed.querySelectorAll(".gp, .go")) one.remove();
    const lines = typed.textContent.split("\n").map((line) => line.trimEnd());
    button.dataset.clipboardText = lines.filter(Boolean).join("\n");
  },
  { capture: true },
);
