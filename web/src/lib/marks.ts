// Where the labels of marks on a chart go: as in a staircase, so that none lies
// on another. A label that has no room is left out; its line stays.

export interface Label { x: number; left: number; lane: number } // lane -1: no room

export function place(marks: { x: number; width: number }[], right: number, lanes = 4, gap = 8): Label[] {
  const ends: number[] = []
  return marks.map(({ x, width }) => {
    const left = Math.max(0, Math.min(x, right - width))
    for (let lane = 0; lane < lanes; lane++) {
      if ((ends[lane] ?? -Infinity) + gap > left) continue
      ends[lane] = left + width
      return { x, left, lane }
    }
    return { x, left, lane: -1 }
  })
}

export const lanes = (labels: Label[]): number => Math.max(0, ...labels.map((l) => l.lane + 1))
