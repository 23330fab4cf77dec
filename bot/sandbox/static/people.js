// The guests one may be: members by search, and someone nobody knows.
const LANGUAGES = { en: "EN", zh_CN: "简体", zh_TW: "繁體", zh: "中文" };
const LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

export function newStranger(words) {
  const dice = crypto.getRandomValues(new Uint32Array(32));
  const stranger = {
    stranger: true,
    name: words.stranger,
    telegram: String(6_000_000_000 + dice[0]),
    wechat: `o${[...dice.slice(1, 28)].map((n) => LETTERS[n % LETTERS.length]).join("")}`,
    telegram_name: words.other_language_code === "zh" ? "Guest" : "宾客",
    telegram_language: words.other_language_code === "zh" ? "en" : "zh-hans",
    wechat_language: words.other_language_code === "zh" ? "en" : "zh_CN",
  };
  sessionStorage.setItem("stranger", JSON.stringify(stranger));
  return stranger;
}

export function strangerNow(words) {
  const kept = sessionStorage.getItem("stranger");
  return kept ? { ...JSON.parse(kept), name: words.stranger } : newStranger(words);
}

export function initial(name) {
  return [...name.trim()][0]?.toUpperCase() ?? "?";
}

export function hue(text) {
  let sum = 0;
  for (const letter of text) sum = (sum * 31 + letter.codePointAt(0)) % 360;
  return sum;
}

export class People {
  constructor(root, words, become, complain) {
    this.words = words;
    this.become = become;
    this.complain = complain;
    this.list = root.querySelector(".guest-list");
    this.none = root.querySelector(".guests-none");
    this.search = root.querySelector("input");
    this.stranger = root.querySelector(".guest-stranger");
    this.all = [];
    this.chosen = "";
    this.search.addEventListener("input", () => this.draw());
    this.stranger.addEventListener("click", () => this.choose(strangerNow(words)));
    root.addEventListener("keydown", (event) => this.move(event));
  }

  async load() {
    try {
      const answer = await fetch("people");
      this.all = (await answer.json()).people;
      this.draw();
    } catch {
      this.complain(this.words.offline);
    }
  }

  find(number) {
    return this.all.find((person) => person.number === number);
  }

  first() {
    return this.all[0];
  }

  choose(guest) {
    this.chosen = guest.stranger ? "stranger" : guest.number;
    this.mark();
    this.become(guest);
  }

  draw() {
    const asked = this.search.value.trim().toLowerCase().split(/\s+/).filter(Boolean);
    const found = this.all.filter((person) => {
      const text = `${person.name} ${person.number} ${person.tier} ${this.words[person.tier] ?? ""}`.toLowerCase();
      return asked.every((word) => text.includes(word));
    });
    this.list.replaceChildren(...found.map((person) => this.row(person)));
    this.none.hidden = found.length > 0;
    this.none.textContent = this.all.length ? this.words.none_found : this.words.none_yet;
    this.mark();
  }

  row(person) {
    const item = document.createElement("li");
    const button = document.createElement("button");
    button.type = "button";
    button.className = "guest";
    button.dataset.number = person.number;
    const avatar = part("span", "avatar", initial(person.name));
    avatar.setAttribute("aria-hidden", "true");
    avatar.style.setProperty("--hue", hue(person.name));
    const lines = part("span", "guest-words");
    const name = part("span", "guest-name", person.name);
    name.lang = person.locale.replace("_", "-");
    const tier = part("span", `tier tier-${person.tier}`, this.words[person.tier] ?? person.tier);
    const unit = person.points === 1 ? this.words.point : this.words.points;
    const points = `${person.points.toLocaleString(document.documentElement.lang)} ${unit}`;
    const facts = part("span", "guest-facts", points);
    facts.append(part("span", "guest-language", ` · ${LANGUAGES[person.locale] ?? person.locale}`));
    const line = part("span", "guest-line");
    line.append(tier, facts);
    lines.append(name, line);
    button.append(avatar, lines);
    button.addEventListener("click", () => this.choose(person));
    item.append(button);
    return item;
  }

  mark() {
    for (const button of [this.stranger, ...this.list.querySelectorAll(".guest")]) {
      const here = this.chosen === (button.dataset.number ?? "stranger");
      button.setAttribute("aria-pressed", String(here));
    }
  }

  move(event) {
    if (event.key !== "ArrowDown" && event.key !== "ArrowUp") return;
    const stops = [this.search, this.stranger, ...this.list.querySelectorAll(".guest")];
    const at = stops.indexOf(document.activeElement);
    const next = stops[at + (event.key === "ArrowDown" ? 1 : -1)];
    if (at < 0 || !next) return;
    event.preventDefault();
    next.focus();
  }
}

function part(tag, name, text = "") {
  const element = document.createElement(tag);
  element.className = name;
  element.textContent = text;
  return element;
}
