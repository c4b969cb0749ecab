// What the page Metrics has loaded: the series of each target, and what happened
// in their time. One wrong target does not keep the others from being drawn.

import { get, Problem } from './api'
import { markTypes, relevant } from './events'
import type { Event, Series } from './records'
import { question, type View } from './view'

const most = 900 // points of one series; a screen shows no more

export class Plot {
  results = $state.raw(new Map<string, Series[]>()) // by target
  problems = $state.raw(new Map<string, string>())
  span = $state.raw({ from: 0, until: 0 })
  wrong = $state('') // about the range of time
  marks = $state.raw<Event[]>([])
  answered = $state('') // the question that all this answers
  busy = false
  private run = 0

  async load(view: View, zone: string) {
    const run = ++this.run
    this.busy = true
    const shown = [...new Set(view.targets.filter((t) => !t.hidden).map((t) => t.text))]
    try {
      // The server reads the times, in all of Graphite's forms and by its own clock.
      const range = new URLSearchParams({ target: 'constantLine(0)', from: view.from, until: view.until || 'now', format: 'json', tz: zone })
      const line = (await get<Series[]>('/render?' + range))[0]?.datapoints ?? []
      const span = { from: line[0]?.[1] ?? 0, until: line.at(-1)?.[1] ?? 0 }
      const marks = view.marks && shown.length ? events(span).catch(() => []) : Promise.resolve([])
      const answers = await Promise.all(shown.map((target) => series(target, span)))
      const happened = relevant(await marks, shown)
      if (run !== this.run) return
      const results = new Map([...this.results].filter(([text]) => view.targets.some((t) => t.hidden && t.text === text)))
      const problems = new Map<string, string>()
      shown.forEach((target, i) => {
        const answer = answers[i]!
        if (answer instanceof Problem) problems.set(target, answer.message)
        else results.set(target, answer)
      })
      Object.assign(this, { results, problems, span, marks: happened, wrong: '' })
    } catch (e) {
      // Without a connection the page keeps what it has; App says how old that is.
      if (run === this.run && !(e instanceof Problem && e.status === 0 && this.answered)) this.wrong = (e as Error).message
    }
    if (run === this.run) Object.assign(this, { answered: question(view), busy: false })
  }
}

async function series(target: string, span: { from: number; until: number }): Promise<Series[] | Problem> {
  const q = new URLSearchParams({ target, from: String(span.from), until: String(span.until), format: 'json', maxDataPoints: String(most) })
  try { return await get<Series[]>('/render?' + q) } catch (e) {
    if (e instanceof Problem && e.status !== 0) return e
    throw e
  }
}

function events(span: { from: number; until: number }): Promise<Event[]> {
  const time = (t: number) => new Date(t * 1000).toISOString()
  const q = new URLSearchParams({ oldest: 'true', limit: '200', since: time(span.from), until: time(span.until + 1) })
  for (const t of markTypes) q.append('type', t)
  return get<Event[]>('/api/v1/events?' + q)
}
