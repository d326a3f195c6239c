// A player of recordings: waveform, mel picture, a position to move by mouse and keyboard. Nothing plays by itself.
// Offers: player. Uses: el, fill (dom.js), svg (charts.js).

let soundingNow = null; // the one sound that plays

/**
 * The element that plays the clips of an item, [{label, note, ref}], with the page's table of `sounds`, to which `ref`
 * points (see Clips in sounds.py). Several clips are tabs; going from one to the next keeps the place, to compare them.
 */
function player(clips, sounds) {
  const tracks = clips.map((clip) => clipTrack(clip, sounds[clip.ref] ?? {}, draw));
  const panel = el("div", { role: tracks.length > 1 ? "tabpanel" : null });
  const tabs = tracks.map((one, place) =>
    el(
      "button",
      { type: "button", role: "tab", click: () => choose(place), keydown: (event) => walk(event, place) },
      one.label,
    ),
  );
  let now = -1;

  // To the same scale, so that what is quieter is seen as smaller.
  function draw() {
    const loudest = Math.max(0, ...clips.map(({ ref }) => sounds[ref]?.level ?? 0));
    for (const one of tracks) one.draw(loudest);
  }

  function choose(place) {
    const before = tracks[now],
      going = before?.playing();
    before?.pause();
    if (before && place !== now) tracks[place].seek(before.time());
    now = place;
    tabs.forEach((tab, other) => {
      tab.setAttribute("aria-selected", String(other === place));
      tab.tabIndex = other === place ? 0 : -1;
    });
    if (tabs.length > 1) panel.setAttribute("aria-label", tracks[place].label);
    fill(panel, tracks[place].element);
    if (going) tracks[place].play();
  }

  function walk(event, place) {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    const next = (place + step + tabs.length) % tabs.length;
    choose(next);
    tabs[next].focus();
  }

  if (!tracks.length) return el("p", { class: "note" }, "This item has no recording.");
  const root = el(
    "div",
    { class: "player", role: "group", "aria-label": "Recording" },
    tracks.length > 1
      ? el("div", { class: "player-tabs", role: "tablist", "aria-label": "What to listen to" }, tabs)
      : el("p", { class: "player-label" }, tracks[0].label),
    panel,
  );
  draw();
  choose(0);
  return root;
}

// One clip: its element, draw(loudest), play, pause, seek(seconds), time(), playing(). drawAll() draws all of them anew.
function clipTrack(clip, sound, drawAll) {
  const audio = el("audio", { preload: sound.embedded ? "none" : "metadata", src: sound.src });
  const state = { seconds: sound.seconds ?? null, at: 0, ready: false };
  const button = el("button", { type: "button", class: "player-play", "aria-label": "Play", click: toggle }, "▶");
  const clock = el("span", { class: "player-clock" });
  const note = el("p", { class: "note player-note" }, [clip.note, sound.note].filter(Boolean).join(" · "));
  const form = el("span", { class: "player-form" });
  const line = el("div", { class: "player-line", hidden: true });
  const pictures = el("div");
  const slider = el(
    "div",
    {
      class: "player-slider",
      role: "slider",
      tabindex: "0",
      "aria-label": `Position in ${clip.label}`,
      "aria-valuemin": "0",
      pointerdown: grab,
      pointermove: (event) => slider.hasPointerCapture(event.pointerId) && seek(placeOf(event)),
      keydown: keys,
    },
    pictures,
    line,
  );
  const element = el(
    "div",
    {},
    sound.src ? [el("div", { class: "player-bar" }, button, clock, form), slider, audio] : null,
    note.textContent ? note : null,
  );

  audio.addEventListener("loadedmetadata", () => {
    if (Number.isFinite(audio.duration)) state.seconds ??= audio.duration;
    state.ready = true;
    if (state.at) audio.currentTime = state.at;
    show();
  });
  audio.addEventListener("timeupdate", moved);
  audio.addEventListener("seeked", moved);
  audio.addEventListener("play", () => {
    if (soundingNow && soundingNow !== audio) soundingNow.pause();
    soundingNow = audio;
    face();
    requestAnimationFrame(follow);
  });
  audio.addEventListener("pause", face);
  audio.addEventListener("error", () => {
    button.disabled = true;
    fill(note, "It cannot be played: the file is not where it was, or of a kind that this browser does not play.");
    if (!note.isConnected) element.append(note);
  });
  show();
  if (sound.details && !sound.peaks) fetchDetails();

  function toggle() {
    if (audio.paused) play();
    else audio.pause();
  }

  function play() {
    if (!sound.src) return;
    if (state.seconds !== null && state.at >= state.seconds - 0.01) seek(0);
    audio.play().catch(() => face()); // the error's own event says what is wrong
  }

  function seek(seconds) {
    state.at = Math.min(Math.max(0, seconds), state.seconds ?? Infinity);
    if (state.ready) audio.currentTime = state.at;
    show();
  }

  function moved() {
    if (!state.ready || audio.seeking) return;
    state.at = audio.currentTime;
    show();
    if (!element.getClientRects().length) audio.pause(); // the reader has closed or left the item
  }

  function follow() {
    moved();
    if (!audio.paused) requestAnimationFrame(follow);
  }

  function face() {
    button.textContent = audio.paused ? "▶" : "❚❚";
    button.setAttribute("aria-label", audio.paused ? "Play" : "Pause");
    element.classList.toggle("playing", !audio.paused);
  }

  function show() {
    const whole = state.seconds ?? 0,
      at = whole ? Math.min(state.at, whole) : state.at;
    clock.textContent = `${clockText(at)} / ${state.seconds === null ? "–" : clockText(whole)}`;
    slider.setAttribute("aria-valuemax", whole.toFixed(2));
    slider.setAttribute("aria-valuenow", at.toFixed(2));
    slider.setAttribute("aria-valuetext", `${at.toFixed(1)} of ${whole.toFixed(1)} seconds`);
    line.hidden = !whole;
    if (whole) line.style.left = `${(100 * at) / whole}%`;
  }

  function placeOf(event) {
    const box = slider.getBoundingClientRect();
    return ((event.clientX - box.left) / box.width) * (state.seconds ?? 0);
  }

  function grab(event) {
    if (event.button) return;
    slider.setPointerCapture(event.pointerId);
    seek(placeOf(event));
  }

  function keys(event) {
    const whole = state.seconds ?? 0,
      step = Math.min(1, whole / 20);
    const to = {
      ArrowLeft: state.at - step,
      ArrowDown: state.at - step,
      ArrowRight: state.at + step,
      ArrowUp: state.at + step,
      PageDown: state.at - whole / 5,
      PageUp: state.at + whole / 5,
      Home: 0,
      End: whole,
    }[event.key];
    if (event.key === " ") toggle();
    else if (to !== undefined) seek(to);
    else return;
    event.preventDefault();
  }

  function draw(loudest) {
    fill(pictures, clipPictures(sound, loudest));
    if (sound.peaks) fill(form, "as models hear it: mono, 16 kHz · mel 0 to 8 kHz");
  }

  async function fetchDetails() {
    try {
      const found = await (await fetch(sound.details)).json();
      Object.assign(sound, found, { details: null });
    } catch {
      return; // it plays without pictures
    }
    state.seconds ??= sound.seconds ?? null;
    drawAll();
    show();
  }

  return {
    label: clip.label,
    element,
    draw,
    play,
    seek,
    pause: () => audio.pause(),
    time: () => state.at,
    playing: () => !audio.paused,
  };
}

// The waveform, as high as `loudest` would fill it, and the mel picture.
function clipPictures(sound, loudest) {
  if (!sound.peaks) return el("div", { class: "player-plain" });
  const bytes = Uint8Array.from(atob(sound.peaks), (char) => char.charCodeAt(0)),
    ends = new Int8Array(bytes.buffer),
    half = 32,
    factor = ((sound.level / (loudest || 1)) * (half - 1)) / 127,
    count = ends.length / 2;
  const upper = [],
    lower = [];
  for (let i = 0; i < count; i += 1) {
    upper.push(`${i},${(half - 0.4 - ends[2 * i + 1] * factor).toFixed(1)}`);
    lower.push(`${i},${(half + 0.4 - ends[2 * i] * factor).toFixed(1)}`);
  }
  return [
    svg(
      "svg",
      {
        class: "player-wave",
        viewBox: `0 0 ${Math.max(1, count - 1)} ${2 * half}`,
        preserveAspectRatio: "none",
        "aria-hidden": "true",
        focusable: "false",
      },
      svg("polygon", { points: [...upper, ...lower.reverse()].join(" ") }),
    ),
    el("img", { class: "player-mel", src: sound.mel, alt: "", draggable: "false" }),
  ];
}

// 61.25 -> 1:01.2
function clockText(seconds) {
  const tenths = Math.floor(seconds * 10 + 1e-6);
  return `${Math.floor(tenths / 600)}:${String(Math.floor((tenths % 600) / 10)).padStart(2, "0")}.${tenths % 10}`;
}
