// An answer taken elsewhere, a scenario taken from there, and what the page does not answer.
"use strict";

function copyText(kind) {
  writeAddress();
  const scenario = scenarioNow(), link = location.href, command = MODEL.to_command({ _scenario: scenario });
  if (kind === "link") return link;
  if (kind === "command") return command;
  if (kind === "python") return MODEL.to_python({ _scenario: scenario });
  if (kind === "scenario") return JSON.stringify(plain(scenario.to_dict()), null, 2);
  if (kind === "answer") return JSON.stringify(ANSWER, null, 2);
  return quoteOf(VIEW, link, command);
}

async function copy(kind) {
  const text = copyText(kind), box = $id("exchange");
  box.hidden = false;
  box.value = text;
  try {
    await navigator.clipboard.writeText(text);
    say($id("copied"), "Copied.");
  } catch {
    box.focus();
    box.select();
    say($id("copied"), "The browser does not let a page copy here: the text is selected below.");
  }
}

function load() {
  const box = $id("exchange");
  if (box.hidden || !box.value.trim()) {
    box.hidden = false;
    box.value = "";
    box.focus();
    say($id("copied"), "Paste a scenario as JSON below, then press the button again.");
    return;
  }
  try {
    const read = JSON.parse(box.value), given = read.scenario && read.policies && read.verdict ? read.scenario : read;
    STATE = stateOf(plain(scenarioOf(given).to_dict()), STATE);
    syncControls();
    pressPreset(null);
    say($id("copied"), "Loaded.");
    answer();
  } catch (error) {
    problem([error instanceof SyntaxError ? `This is not JSON (${error.message}).` : error.message]);
  }
}

function limits() {
  const code = (text) => make("code", { text });
  const items = [
    ["The answers are those of ", code("perfmodel predict --solver closed"), ": the model's closed forms, translated from the same source, for every call, policy, kernel and population that they know."],
    ["Not in it are the Markov chain and the simulation. Where the closed form's error is not known the page says NOT IN THIS PAGE, shows no number of the queue, and names the command that asks them: ", code("perfmodel predict …"), ". A preset of that kind has the answer that another solver gave when this page was made, if it was installed. Often that is so for several callers that meet each other, for faults that wait for I/O, and for calls over several VMAs that drop the lock for each."],
    ["Break-even points here are those of the estimate; with an interval: ", code("perfmodel break-even --over pages"), "."],
    ["Which constant matters, and what to measure next: ", code("perfmodel sensitivity"), "."],
    ["Who breaks an unsafe cut, step by step: ", code("perfmodel safety --explain"), "; how often it would lose a store: ", code("perfmodel lost-stores"), "."],
    ["A case's sources: [mail] a mail or commit that was read, [T] an issue or document, [S] kernel source, [A] an abstract only, [assumed] chosen here."],
    ["Your own machine: ", code("perfmodel measure"), ", ", code("perfmodel calibrate"), ", then ", code("perfmodel explore --html FILE --machine PROFILE"), "."],
  ];
  $id("limits").replaceChildren(make("ul", {}, items.map((parts) => make("li", {}, parts))));
}
