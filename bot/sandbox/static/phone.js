// One phone: shows what its platform tells it, and passes on what its owner does.
import { bubbleElement, timeElement } from "./bubble.js";
import { hue, initial } from "./people.js";

// The dots fade by themselves, as in the apps.
const DOTS = { telegram: 5_500, wechat: 15_000 };
const QUIET = 5 * 60_000;

export class Phone {
  constructor(stand, words, complain) {
    this.stand = stand;
    this.words = words;
    this.complain = complain;
    this.channel = stand.dataset.channel;
    this.talk = stand.querySelector(".talk");
    this.state = stand.querySelector(".bar-state");
    this.form = stand.querySelector(".composer");
    this.input = this.form.elements.text;
    this.shown = new Map();
    this.form.addEventListener("submit", (event) => this.submit(event));
    this.input.addEventListener("input", () => this.ready());
    for (const tool of stand.querySelectorAll("[data-act]")) {
      tool.addEventListener("click", () => this.act(tool.dataset.act, {}));
    }
    for (const chip of stand.querySelectorAll(".chip")) {
      chip.addEventListener("click", () => this.say(chip.textContent));
    }
    for (const go of stand.querySelectorAll(".welcome-go")) {
      go.addEventListener("click", () => this.introduce());
    }
  }

  become(guest) {
    this.guest = guest;
    this.address = guest[this.channel];
    this.shown.clear();
    this.talk.replaceChildren();
    this.dots(false);
    this.events?.close();
    this.stand.classList.toggle("absent", !this.address);
    this.stand.inert = !this.address;
    this.form.hidden = false;
    if (!this.address) return;
    this.welcome();
    this.events = new EventSource(`${this.channel}/guest/events?address=${encodeURIComponent(this.address)}`);
    this.events.onmessage = (event) => this.happen(JSON.parse(event.data));
    this.events.onopen = () => this.complain("");
    this.events.onerror = () => this.complain(this.words.offline);
  }

  happen(news) {
    if (news.address !== this.address) return;
    if (news.type === "typing") this.dots(news.on);
    else this.show(news);
  }

  show(bubble) {
    const known = this.shown.get(bubble.id);
    const element = bubbleElement(bubble, this);
    this.shown.set(bubble.id, { bubble, element });
    if (known) known.element.replaceWith(element);
    else {
      const later = [...this.shown.values()].filter((each) => each.bubble.id > bubble.id);
      const next = later.sort((a, b) => a.bubble.id - b.bubble.id)[0];
      this.talk.insertBefore(element, next?.element ?? null);
    }
    this.spaceOut();
    this.welcome();
    if (!known || bubble.who === "hotel") this.toEnd();
  }

  // A line with the time wherever the talk had rested.
  spaceOut() {
    for (const line of this.talk.querySelectorAll(".when")) line.remove();
    let last = 0;
    for (const { bubble, element } of [...this.shown.values()].sort((a, b) => a.bubble.id - b.bubble.id)) {
      const at = Date.parse(bubble.at);
      if (at - last > QUIET) element.before(timeElement(at, last));
      last = at;
    }
  }

  toEnd() {
    this.talk.scrollTop = this.talk.scrollHeight;
  }

  dots(on) {
    clearTimeout(this.fading);
    const text = this.words[`typing_${this.channel}`];
    this.state.textContent = on ? text : this.state.dataset.idle;
    this.state.classList.toggle("dots", on);
    this.stand.classList.toggle("typing", on);
    if (on) this.fading = setTimeout(() => this.dots(false), DOTS[this.channel]);
  }

  // A guest nobody knows first follows the account, or presses START.
  welcome() {
    const met = !this.guest.stranger || this.shown.size > 0 || sessionStorage.getItem(this.metKey());
    for (const part of this.stand.querySelectorAll(".welcome, .welcome-start")) part.hidden = Boolean(met);
    this.form.hidden = !met;
    this.stand.querySelector(".chips").classList.toggle("resting", !met);
  }

  metKey() {
    return `met ${this.channel} ${this.address}`;
  }

  async introduce() {
    sessionStorage.setItem(this.metKey(), "yes");
    await this.act(this.channel === "telegram" ? "start" : "follow", {});
    this.welcome();
    this.input.focus();
  }

  submit(event) {
    event.preventDefault();
    const text = this.input.value;
    if (!text.trim()) return;
    this.input.value = "";
    this.ready();
    this.say(text);
  }

  ready() {
    const some = this.input.value.trim() !== "";
    this.form.querySelector(".send").hidden = !some;
    this.form.querySelector(".tool-last").hidden = some;
  }

  say(text) {
    return this.act("say", { text });
  }

  press(bubble, choice) {
    if (choice.kind === "reply") return this.say(choice.title);
    if (this.channel === "telegram") return this.act("tap", { message_id: bubble.message_id, data: choice.payload });
    return this.act("tap", { title: choice.title, menu_id: choice.payload });
  }

  async act(name, more) {
    const guest = this.guest;
    const person = { name: guest.telegram_name ?? guest.name, language: guest[`${this.channel}_language`] };
    const order = { address: this.address, ...person, ...more };
    try {
      const answer = await fetch(`${this.channel}/guest/${name}`, {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify(order),
      });
      const told = await answer.json();
      this.complain(answer.ok ? "" : `${this.words.not_sent} ${told.error}`);
    } catch {
      this.complain(this.words.offline);
    }
  }

  avatar(who) {
    const face = document.createElement("span");
    face.className = who === "hotel" ? "avatar avatar-hotel" : "avatar";
    face.textContent = who === "hotel" ? "知" : this.guest.stranger ? "?" : initial(this.guest.name);
    face.style.setProperty("--hue", hue(this.guest.name));
    face.setAttribute("aria-hidden", "true");
    return face;
  }
}
