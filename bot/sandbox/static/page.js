// The page: who one is, which phone one looks at, and what both phones are told.
import { Phone } from "./phone.js";
import { People, strangerNow, newStranger } from "./people.js";

const words = JSON.parse(document.body.dataset.words);
const trouble = document.querySelector(".trouble");
const room = document.querySelector(".room");
const who = document.querySelector(".who");
const another = document.querySelector(".another");
const narrow = window.matchMedia("(max-width: 820px)");

const phones = [...document.querySelectorAll(".stand")].map((stand) => new Phone(stand, words, complain));

function complain(text) {
  trouble.textContent = text;
  trouble.hidden = !text;
}

function become(guest) {
  for (const phone of phones) phone.become(guest);
  document.querySelector(".who-name").textContent = guest.name;
  another.hidden = !guest.stranger;
  history.replaceState(null, "", guest.stranger ? "#stranger" : `#${guest.number}`);
  openGuests(false);
}

function openGuests(open) {
  room.classList.toggle("choosing", open);
  who.setAttribute("aria-expanded", String(open));
  if (!narrow.matches) return;
  if (open) document.querySelector(".search input").focus();
  else if (document.activeElement?.closest(".guests")) who.focus();
}

const people = new People(document.querySelector(".guests"), words, become, complain);
another.addEventListener("click", () => become(newStranger(words)));
who.addEventListener("click", () => openGuests(!room.classList.contains("choosing")));
document.querySelector(".guests-close").addEventListener("click", () => openGuests(false));
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") openGuests(false);
});

// One phone at a time on a narrow screen.
const tabs = [...document.querySelectorAll("[role=tab]")];
function choose(tab) {
  for (const each of tabs) {
    each.setAttribute("aria-selected", String(each === tab));
    each.tabIndex = each === tab ? 0 : -1;
    document.getElementById(each.getAttribute("aria-controls")).classList.toggle("away", each !== tab);
  }
  for (const phone of phones) phone.toEnd();
}
for (const tab of tabs) {
  tab.addEventListener("click", () => choose(tab));
  tab.addEventListener("keydown", (event) => {
    if (event.key !== "ArrowLeft" && event.key !== "ArrowRight") return;
    const next = tabs[(tabs.indexOf(tab) + 1) % tabs.length];
    choose(next);
    next.focus();
  });
}
choose(tabs[0]);

document.querySelector(".language").addEventListener("click", (event) => {
  event.currentTarget.href = `?lang=${words.other_language_code}${location.hash}`;
});

function tick() {
  const time = new Date().toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", hour12: false });
  for (const clock of document.querySelectorAll(".status-time")) clock.textContent = time;
}
tick();
setInterval(tick, 10_000);

await people.load();
const wanted = decodeURIComponent(location.hash.slice(1));
const member = people.find(wanted) ?? (wanted === "stranger" ? null : people.first());
people.choose(member ?? strangerNow(words));
window.addEventListener("focus", () => people.load());
