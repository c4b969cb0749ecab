// Where the labels of marks on a chart go: as in a staircase, so that none lies
// on another, urgent ones first. A label that has no room is left out; its line stays.

export interface Label { x: number; left: number; lane: number } // lane -1: no room

export function place(marks: { x: number; width: number; urgent?: boolean }[], right: number, lanes = 4, gap = 8): Label[] {
  const labels = marks.map(({ x, width }) => ({ x, left: Math.max(0, Math.min(x, right - width)), lane: -1 }))
  const taken: [from: number, to: number][][] = Array.from({ length: lanes }, () => [])
  const order = [...marks.keys()].sort((a, b) => Number(!!marks[b]!.urgent) - Number(!!marks[a]!.urgent))
  for (const i of order) {
    const label = labels[i]!, end = label.left + marks[i]!.width
    label.lane = taken.findIndex((lane) => lane.every(([from, to]) => label.left >= to + gap || end + gap <= from))
    taken[label.lane]?.push([label.left, end])
  }
  return labels
}

export const lanes = (labels: Label[]): number => Math.max(0, ...labels.map((l) => l.lane + 1))
