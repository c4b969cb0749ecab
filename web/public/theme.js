// Runs before the first paint, so that the page does not flash in the other theme.
try { const t = localStorage.getItem('theme'); if (t) document.documentElement.dataset.theme = t } catch { /* a private window */ }
