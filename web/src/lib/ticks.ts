// Times under a chart, in 24 hours as everywhere; a day is named where it begins.

const two = (n: number) => String(n).padStart(2, '0')
const day = (t: Date) => t.toLocaleDateString(undefined, { day: 'numeric', month: 'short' })

export function ticks(at: number[], step: number): string[] {
  let last = ''
  return at.map((s) => {
    const t = new Date(s * 1000)
    const today = day(t)
    if (step >= 86400) return today
    const text = `${two(t.getHours())}:${two(t.getMinutes())}` + (step < 60 ? `:${two(t.getSeconds())}` : '')
    const named = today !== last
    last = today
    return named ? `${text}\n${today}` : text
  })
}
