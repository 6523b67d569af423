// What the theme lacks: labels for the cells of tables on a phone, and commands without their prompt.

// For each number of columns the characters in a cell beyond which they do not fit a phone.
const LONGEST = [Infinity, Infinity, Infinity, 90, 30, 30];
const LONGEST_OF_MANY = 40; // where columns are for comparing, and a reader may move them

document$.subscribe(() => {
  for (const table of document.querySelectorAll(".md-typeset table:not([class])")) {
    const heads = Array.from(table.querySelectorAll("thead th"), (one) => one.textContent);
    const cells = Array.from(table.querySelectorAll("tbody td"));
    const longest = LONGEST[heads.length] ?? LONGEST_OF_MANY;
    const stacks = cells.some((one) => one.textContent.length > longest);
    for (const one of cells) if (stacks && one.cellIndex) one.dataset.label = heads[one.cellIndex];
    if (heads.length > 2) table.dataset.narrow = stacks ? "stacks" : "moves";
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
