import { describe, expect, it } from 'vitest'
import { pause, picture, read, rows, write, type View } from './view'

const view = (query: string): View => read(new URLSearchParams(query))

describe('a view and its address', () => {
  it('is as usual without a query', () => {
    const v = view('')
    expect(v).toEqual({ targets: [], from: '-1h', until: '', refresh: undefined, title: '', yMin: undefined, yMax: undefined, area: 'none', nulls: 'gap', legend: true, marks: true, bound: undefined })
    expect(String(write(v))).toBe('from=-1h')
  })
  it('goes there and back', () => {
    const all: View = {
      targets: [{ text: 'a.b', hidden: false }, { text: 'sum(c.{d,e},"x & y")', hidden: true }, { text: 'a.b', hidden: false }],
      from: 'now-2d', until: '16:30_20260102', refresh: 30, title: 'Time & more', yMin: -1.5, yMax: 0, area: 'stacked', nulls: 'zero', legend: false, marks: false, bound: 300,
    }
    expect(read(new URLSearchParams(String(write(all))))).toEqual(all)
    for (const part of [{ area: 'all' }, { nulls: 'connected' }, { refresh: 0 }] as Partial<View>[]) {
      expect(read(write({ ...all, ...part }))).toEqual({ ...all, ...part })
    }
  })
  it('leaves out targets that are empty, and keeps which are hidden', () => {
    const v = view('')
    v.targets = [{ text: ' ', hidden: true }, { text: 'a', hidden: false }, { text: 'b', hidden: true }]
    expect(String(write(v))).toBe('target=a&target=b&hide=2&from=-1h')
  })
  it('takes the query of /render and the links of other pages', () => {
    expect(view('target[]=a&until=now&areaMode=first&lineMode=slope&drawNullAsZero=1&hideLegend=0&width=5')).toMatchObject({ targets: [{ text: 'a', hidden: false }], until: '', area: 'all', nulls: 'zero', legend: true })
    expect(view('target=a&from=1767355200&until=1767358800&bound=12&yMin=x&refresh=')).toMatchObject({ from: '1767355200', until: '1767358800', bound: 12, yMin: undefined, refresh: undefined })
  })
  it('is a picture without what is hidden', () => {
    const v = view('target=a&target=b&hide=1&bound=5&yMin=0&areaMode=stacked&title=T&marks=off&refresh=5')
    expect(picture(v, 'svg', 'Europe/Berlin')).toBe('/render?target=b&target=threshold%285%2C%22bound%22%2C%22red%22%29&from=-1h&until=now&title=T&yMin=0&areaMode=stacked&hideLegend=false&width=1000&height=400&format=svg&tz=Europe%2FBerlin')
    expect(picture(v, 'csv', '')).toBe('/render?target=b&from=-1h&until=now&format=csv')
  })
})

describe('rows of targets', () => {
  const t = (text: string, hidden = false) => ({ text, hidden })
  it('keep their number when they move, change places or are hidden', () => {
    const first = rows([], [t('a'), t('b')])
    expect(first.map((r) => r.id)).toEqual([1, 2])
    expect(rows(first, [t('b', true), t('a')])).toEqual([{ id: 2, text: 'b', hidden: true }, { id: 1, text: 'a', hidden: false }])
    expect(rows(first, [t('c'), t('a'), t('a')]).map((r) => r.id)).toEqual([3, 1, 4])
  })
  it('are never none', () => expect(rows([{ id: 7, text: 'a', hidden: false }], [])).toEqual([{ id: 8, text: '', hidden: false }]))
})

describe('loading again', () => {
  it('is as often as the length of the range suggests', () => {
    expect(pause(view(''), 3600)).toBe(18)
    expect(pause(view(''), 60)).toBe(5)
    expect(pause(view(''), 86400 * 30)).toBe(60)
  })
  it('ends with what is over, unless it is asked for', () => {
    expect(pause(view('until=1767358800'), 3600)).toBe(0)
    expect(pause(view('until=1767358800&refresh=10'), 3600)).toBe(10)
    expect(pause(view('refresh=0'), 3600)).toBe(0)
  })
})
