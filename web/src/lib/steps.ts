// Steps as a person counts them: the same one again and again is one.

export interface Step { name: string; state: string; at: string; took: number }

export function merged(steps: Step[]): (Step & { times: number })[] {
  const out: (Step & { times: number })[] = []
  for (const s of steps) {
    const last = out[out.length - 1]
    if (last && last.name === s.name && last.state === s.state) {
      last.times++
      last.took = Math.max(last.took, (Date.parse(s.at) - Date.parse(last.at)) / 1000 + s.took)
    } else out.push({ ...s, times: 1 })
  }
  return out
}
