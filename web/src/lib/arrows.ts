// arrows lets Up and Down walk through the buttons of a list, Home and End to its
// ends, so that long lists need no hundred Tabs.
export function arrows(e: KeyboardEvent & { currentTarget: HTMLElement }) {
  const step = { ArrowDown: 1, ArrowUp: -1, Home: -Infinity, End: Infinity }[e.key]
  if (step === undefined || (e.target instanceof HTMLInputElement && (e.key === 'Home' || e.key === 'End'))) return
  const all = [...e.currentTarget.querySelectorAll<HTMLElement>('input, button:not([tabindex="-1"])')]
  const now = all.indexOf(document.activeElement as HTMLElement)
  const next = all[Math.min(all.length - 1, Math.max(0, now + step))]
  if (!next) return
  e.preventDefault()
  next.focus()
}
