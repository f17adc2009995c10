// What the page does in the visitor's browser, so that a verdict never stands beside another picture.
//
// The components are the truth: every answer names the question that it belongs to (picture, face, label, method), and
// is shown only while the page still shows that. One question is on its way at a time; when it is answered, or failed,
// and the page shows something else by then, that is asked next. Gradio's own `always_last` loses the later event when
// the earlier one fails.
function fakeface(words) {
  let busy = false; // whether a question is on its way
  let asked = null; // which
  let turn = 0; // of what was put on the page; an address that arrives after its turn is dropped
  let fetching = false;
  let face = null; // of which the map is shown, or asked for; null is the one that decides
  let empty = true; // whether nothing is said yet of the picture that is shown
  let told = null; // the address of the picture that the panels tell of
  let place = 0; // of the picture to open, among many
  let wanted = null; // what gets the focus as soon as it is there, as a selector

  const question = (picture, ...look) => JSON.stringify([picture?.path ?? null, face, ...look]);
  const start = (interactive) => ({ __type__: 'update', interactive });
  const emptied = (panel) => {
    [face, empty] = [null, true];
    return [panel, '', '', ''];
  };
  const ofPicture = (html) => html && `<div class="of-picture">${html}</div>`;
  const ANSWER = '#verdict h2';
  const UPLOAD = '#picture:not(:has(.image-frame img)) .upload-container button';
  const batch = (files) => JSON.stringify((files ?? []).map((file) => file.path));

  // Gradio tells of a change late, after an upload that is on its way. What was said of a picture is hidden in the very
  // frame in which that picture goes.
  const address = (picture) => picture && new URL(picture.url, document.baseURI).href;
  const compare = () => {
    const seen = document.querySelector('#picture .image-frame img')?.src ?? null;
    document.documentElement.classList.toggle('stale', seen !== told);
    const goal = wanted && document.querySelector(wanted);
    if (!goal) return;
    wanted = null;
    goal.focus(); // which scrolls there
  };
  new MutationObserver(compare).observe(document, { subtree: true, childList: true, attributeFilter: ['src'] });

  function ask() {
    if (busy) return;
    busy = true;
    document.querySelector('#ask').click();
  }

  // Of a picture, among many.
  document.addEventListener('click', ({ target }) => {
    const chosen = target.closest('[data-open]');
    if (!chosen) return;
    place = Number(chosen.dataset.open);
    document.querySelector('#open').click();
  });

  // Of a face, in the picture or in the list.
  document.addEventListener('click', ({ target }) => {
    const chosen = target.closest('[data-face]');
    if (!chosen) return;
    face = Number(chosen.dataset.face);
    for (const button of document.querySelectorAll('#faces button')) {
      button.ariaPressed = Number(button.dataset.face) === face;
    }
    ask();
  });

  return {
    ask,
    // The picture has changed, however it came or went.
    shown(picture) {
      const panels = emptied(picture ? words.judging : fetching ? words.fetching : words.waiting);
      if (picture) {
        turn += 1;
        fetching = false;
        ask();
      }
      return panels;
    },
    asking(picture, _, label, method) {
      if (asked && JSON.parse(asked)[0] !== picture?.path) face = null; // it was one of another picture
      asked = question(picture, label, method);
      return [picture, face, label, method, asked];
    },
    answered(answer, picture, ...look) {
      busy = false;
      if (!picture) return [];
      if (answer?.asked !== question(picture, ...look)) {
        ask();
        return [];
      }
      face = answer.face;
      const figure = ofPicture(answer.figure);
      if (!empty) return [undefined, undefined, figure, undefined]; // whoever chose keeps the focus
      empty = false;
      told = address(picture);
      compare();
      wanted = ANSWER;
      return [ofPicture(answer.panel), ofPicture(answer.said), figure, ofPicture(answer.faces)];
    },
    failed(picture, ...look) {
      busy = false;
      if (!picture) return [];
      if (asked === question(picture, ...look)) return emptied(words.failed);
      ask();
      return [];
    },

    another() {
      wanted = UPLOAD;
      return null;
    },
    example(button, path, name) {
      const url = document.querySelector(`#${button} img`).src;
      return { path, url, orig_name: name, meta: { _type: 'gradio.FileData' } };
    },

    // An address: the page is empty until its picture arrives.
    wanted() {
      fetching = true;
      return [null, ...emptied(words.fetching)];
    },
    fetching(address) {
      turn += 1;
      return [address, turn];
    },
    fetched(arrived, file, picture) {
      if (picture || arrived?.turn !== turn) return [];
      fetching = false;
      if (arrived.refusal) wanted = ANSWER;
      return [file, arrived.refusal ?? words.judging];
    },
    lost(picture) {
      if (picture || !fetching) return [];
      fetching = false;
      return [undefined, words.failed];
    },

    // Many pictures: an answer names its files.
    judging: (files) => [files, batch(files)],
    judged(found, files) {
      if (found?.asked !== batch(files)) return [];
      return [found.progress, found.gallery ?? undefined, start(found.gallery !== null)];
    },
    chosen: () => ['', '', start(true)],
    started: () => [words.many, '', start(false)],
    unjudged: () => [start(true)],
    opened: (files) => [{ ...files[place], meta: { _type: 'gradio.FileData' } }, { __type__: 'update', selected: 'one' }],

    strength(value) {
      document.documentElement.style.setProperty('--strength', value / 100);
    },
    // As it is seen, with what was said of it; the saved picture leaves no file on the server.
    save() {
      const figure = document.querySelector('#overlay figure');
      const [whole, face] = [...figure.querySelectorAll('.layers')].map((view) => view.querySelectorAll('img'));
      const [wide, high] = [whole[0].naturalWidth, whole[0].naturalHeight];
      const side = Math.max(high, 240); // of the face, beside the picture
      const line = 28;
      const canvas = document.createElement('canvas');
      [canvas.width, canvas.height] = [Math.max(wide + side, 640), side + 5 * line];
      const pen = canvas.getContext('2d');
      pen.fillStyle = 'white';
      pen.fillRect(0, 0, canvas.width, canvas.height);
      const draw = ([picture, layer], ...place) => {
        pen.drawImage(picture, ...place);
        if (!layer) return;
        pen.globalAlpha = getComputedStyle(layer).opacity;
        pen.drawImage(layer, ...place);
        pen.globalAlpha = 1;
      };
      draw(whole, 0, 0, wide, high);
      draw(face, wide, 0, side, side);
      pen.fillStyle = 'black';
      const write = (text, row, left = 8) => {
        pen.font = `${row ? '' : 'bold '}17px sans-serif`;
        pen.fillText(text, left, side + (row + 0.75) * line, canvas.width - left - 8);
      };
      const { told, model } = figure.dataset;
      write(told, 0);
      write(figure.querySelector('figcaption').textContent, 1);
      const key = figure.querySelector('.map-key');
      if (key) {
        const [little, much] = [...key.querySelectorAll('span')].map((end) => end.textContent);
        write(little, 2);
        pen.drawImage(key.querySelector('img'), 60, side + 2.3 * line, 160, 14);
        write(much, 2, 230);
      }
      write(`${model}, ${new Date().toISOString().slice(0, 10)}`, 3);
      write(words.caveat, 4);
      const link = document.createElement('a');
      [link.download, link.href] = ['fakeface.png', canvas.toDataURL()];
      link.click();
    },
    reporting: (picture, _, label, method) => [picture, face, label, method],
    reported(report, picture) {
      if (!picture || report.path !== picture.path) return; // it is of a picture that is no longer shown
      const link = document.createElement('a');
      link.download = `fakeface-${report.name}.html`;
      link.href = URL.createObjectURL(new Blob([report.html], { type: 'text/html' }));
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 60_000); // when it has surely been saved
    },
    theme() {
      document.body.classList.toggle('dark');
    },
  };
}
