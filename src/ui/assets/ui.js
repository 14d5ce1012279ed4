/* Keeps the page as the server says, and follows one log at a time. */
(() => {
  /** Characters of a log that are kept. */
  const mostLog = 1_000_000;
  const link = document.getElementById('link');
  const log = document.getElementById('log');
  let logEvents;
  let hasEnded = false;

  const say = (words, kind) => {
    link.textContent = words;
    link.className = `state ${kind}`;
  };

  /** Puts HTML that the server has made of text into its place; what is folded out stays so. */
  const put = (id, html) => {
    const place = document.getElementById(id);
    const isOpen = place.querySelector('details')?.open ?? false;
    place.innerHTML = html;
    const details = place.querySelector('details');
    if (details) details.open = isOpen;
    const section = document.getElementById(`${id}-section`);
    if (section) section.hidden = html === '';
  };

  const take = ({ html = {}, charts = {}, patches = {} }) => {
    for (const [id, one] of Object.entries(html)) put(id, one);
    for (const [id, chart] of Object.entries(charts))
      if (chart) podDistCharts.put(id, chart);
      else podDistCharts.forget(id);
    for (const [id, changes] of Object.entries(patches)) podDistCharts.patch(id, changes);
    if ('training' in html || 'evaluation' in html || 'time' in html)
      podDistCharts.watch(document.querySelectorAll('.chart'));
    else podDistCharts.drawChanged();
    markLog();
  };

  const events = new EventSource('events');
  events.addEventListener('open', () => say('live', 'running'));
  events.addEventListener('error', () => {
    if (!hasEnded) say('not connected', 'failed');
  });
  events.addEventListener('state', ({ data }) => {
    const change = JSON.parse(data);
    for (const place of document.querySelectorAll('main > section > div'))
      if (!(place.id in (change.html ?? {}))) put(place.id, '');
    take(change);
    document.documentElement.dataset.ready = 'true';
  });
  events.addEventListener('change', ({ data }) => take(JSON.parse(data)));
  events.addEventListener('end', ({ data }) => {
    hasEnded = true;
    events.close();
    logEvents?.close();
    say(JSON.parse(data), 'ended');
  });

  const markLog = () => {
    for (const button of document.querySelectorAll('[data-log]'))
      button.setAttribute('aria-pressed', String(button.dataset.log === log.dataset.of));
  };

  const addLines = (text) => {
    const isAtEnd = log.scrollTop + log.clientHeight >= log.scrollHeight - 4;
    log.append(text);
    let length = log.textContent.length;
    while (length > mostLog && log.childNodes.length > 1) {
      length -= log.firstChild.textContent.length;
      log.firstChild.remove();
    }
    if (isAtEnd) log.scrollTop = log.scrollHeight;
  };

  document.getElementById('logs').addEventListener('click', ({ target }) => {
    const of = target.dataset?.log;
    if (of === undefined) return;
    logEvents?.close();
    const same = log.dataset.of === of;
    log.dataset.of = same ? '' : of;
    log.hidden = same;
    log.textContent = '';
    markLog();
    if (same || hasEnded) return;
    logEvents = new EventSource(`log/${of}`);
    logEvents.addEventListener('begin', ({ data }) => {
      log.textContent = '';
      addLines(JSON.parse(data));
      log.scrollTop = log.scrollHeight;
    });
    logEvents.addEventListener('lines', ({ data }) => addLines(JSON.parse(data)));
  });
})();
