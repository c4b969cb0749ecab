import { describe, expect, it } from 'vitest'
import { functions, names, parameter, paths, tags, values } from './complete'
import { call, own, search, secondAxis, wrong, type Fn } from './functions'
import { patterns } from './names'
import { mistake, place, put } from './place'

const fn = (name: string, group: string, description: string, ...params: Fn['params']): Fn => ({ name, group, description, function: `${name}(…)`, params })
const series = { name: 'seriesList', type: 'seriesList', required: true }
const moving = fn('movingAverage', 'Calculate', 'Gives the mean of a window.', series, { name: 'windowSize', type: 'intOrInterval', required: true }, { name: 'xFilesFactor', type: 'float' })
const summarize = fn('summarize', 'Transform', 'Puts values into larger intervals.', series, { name: 'intervalString', type: 'interval', required: true }, { name: 'func', type: 'aggFunc', default: 'sum', options: ['avg', 'max', 'sum'] }, { name: 'alignToFrom', type: 'boolean', default: false })
const percent = fn('asPercent', 'Combine', 'Shows shares.', series, { name: 'total', type: 'any' }, { name: 'nodes', type: 'nodeOrTag', multiple: true })
const alias = fn('alias', 'Alias', 'Names a series.', series, { name: 'newName', type: 'string', required: true })
const sum = fn('sumSeries', 'Combine', 'Adds all up.', { name: 'seriesLists', type: 'seriesList', required: true, multiple: true })
const line = fn('constantLine', 'Special', 'Draws a flat line.', { name: 'value', type: 'float', required: true })
const all = [moving, summarize, percent, alias, sum, line]

// at is the place of the caret, which stands where the text has a |.
const at = (marked: string) => { const caret = marked.indexOf('¦'); return place(marked.replace('¦', ''), caret) }

describe('the place of the caret', () => {
  it.each([
    ['sta¦', 'word', 'sta', undefined, undefined],
    ['stats.ti¦mers.a', 'word', 'stats.ti', undefined, undefined],
    ['sumSeries(a.b, c.¦)', 'word', 'c.', 'sumSeries', 1],
    ['sumSeries(stats.{a,b}.c,d.{e,¦', 'word', 'd.{e,', 'sumSeries', 1],
    ['alias(sumSeries(a,b),"the na¦', 'text', 'the na', 'alias', 1],
    ["alias(a,'x,(\\'y¦')", 'text', "x,(\\'y", 'alias', 1],
    ['sumSeries(a)¦', 'word', '', undefined, undefined],
    ['a.b|alias("x")|sum¦', 'word', 'sum', undefined, undefined],
    ['f(g(a,1),¦', 'word', '', 'f', 1],
  ])('in %s', (marked, kind, typed, name, argument) => {
    const p = at(marked)
    expect([p.kind, p.typed.trimStart(), p.call?.name, p.call?.argument]).toEqual([kind, typed, name, argument])
  })
  it('knows the keyword of an argument', () => {
    expect(at('summarize(a,"1h",func="ma¦').call).toEqual({ name: 'summarize', argument: 2, keyword: 'func', start: 10 })
    expect(at('summarize(a,func="max",¦').call).toEqual({ name: 'summarize', argument: 2, start: 10 })
  })
  it('ends where the word does', () => expect(at('sumSeries(sta¦ts.a,b)')).toMatchObject({ start: 10, end: 17 }))
  it('does not break on any text', () => {
    const hostile = 'f(((",\\\'{{}}|)=;🎈" ,a=b)'
    for (let i = 0; i <= hostile.length; i++) {
      const p = place(hostile, i)
      expect(p.start).toBeLessThanOrEqual(i)
      expect(p.end).toBeGreaterThanOrEqual(i)
    }
  })
})

describe('completion', () => {
  it('puts a choice in the place of the word', () => {
    expect(put('sum(sta,b)', at('sum(sta¦,b)'), 'stats.', true)).toEqual({ text: 'sum(stats.,b)', caret: 10 })
    expect(put('movi(a)', at('movi¦(a)'), 'movingAverage(', true)).toEqual({ text: 'movingAverage(a)', caret: 14 })
  })
  it('closes a text with its own quote', () => {
    expect(put("f(a,'5", at("f(a,'5¦"), '5min', false)).toEqual({ text: "f(a,'5min'", caret: 10 })
    expect(put('f(a,"5")', at('f(a,"5¦")'), '5min', false)).toEqual({ text: 'f(a,"5min")', caret: 10 })
    expect(put('seriesByTag("na', at('seriesByTag("na¦'), 'name=', true)).toEqual({ text: 'seriesByTag("name=', caret: 18 })
  })
  it('asks for names where series stand', () => {
    const ask = (marked: string) => { const p = at(marked); return names(p, parameter(all.find((f) => f.name === p.call?.name), p)) }
    expect(ask('stats.t¦')).toBe('stats.t*')
    expect(ask('¦')).toBe('*')
    expect(ask('movingAverage(st¦')).toBe('st*')
    expect(ask('movingAverage(a,1¦')).toBe('')
    expect(ask('sumSeries(a,b,c.¦')).toBe('c.*') // the last one repeats
    expect(ask('asPercent(a,tot¦')).toBe('tot*')
    expect(ask('alias(a,"x¦')).toBe('')
  })
  it('lists what was found, and keeps globs', () => {
    const found = [{ path: 'a.one.', name: 'one', is_leaf: '0' }, { path: 'a.two', name: 'two', is_leaf: '1' }, { path: 'b.two', name: 'two', is_leaf: '1' }]
    expect(paths(at('a.¦'), found).map((c) => [c.insert, c.more])).toEqual([['a.one.', true], ['a.two', false], ['b.two', false]])
    expect(paths(at('*.t¦'), found).map((c) => c.insert)).toEqual(['*.one.', '*.two'])
    expect(paths(at('a.two¦'), found).map((c) => c.insert)).toEqual(['a.one.', 'b.two'])
  })
  it('offers functions, those that begin so first', () => {
    expect(functions(all, at('a¦'), undefined).map((c) => c.text)).toEqual(['alias', 'asPercent', 'summarize', 'constantLine', 'movingAverage'])
    expect(functions(all, at('a.b¦'), undefined)).toEqual([])
    expect(functions(all, at('movingAverage(a,m¦'), moving.params[1])).toEqual([])
  })
  it('offers what a parameter takes', () => {
    const offer = (marked: string) => { const p = at(marked); return values(p, parameter(all.find((f) => f.name === p.call?.name), p)).map((c) => c.insert) }
    expect(offer('summarize(a,"1h",¦')).toEqual(['"avg"', '"max"', '"sum"'])
    expect(offer('summarize(a,"1h","m¦')).toEqual(['max'])
    expect(offer('summarize(a,"1h",alignToFrom=¦')).toEqual(['true', 'false'])
    expect(offer('movingAverage(a,"5¦')).toEqual(['5min'])
  })
  it('asks for tags within seriesByTag', () => {
    const ask = (marked: string) => tags(marked.replace('¦', ''), at(marked), undefined)
    expect(ask('seriesByTag("na¦')?.address).toBe('/tags/autoComplete/tags?tagPrefix=na&limit=60')
    expect(ask('seriesByTag("na¦')?.insert('name')).toBe('name=')
    const value = ask(`sum(seriesByTag("name=a",'x=~y',"host!=~w¦`)!
    expect(value.address).toBe('/tags/autoComplete/values?tag=host&valuePrefix=w&expr=name%3Da&expr=x%3D~y&limit=60')
    expect(value.insert('web')).toBe('host!=~web')
    expect(ask('alias(a,"x¦')).toBeUndefined()
  })
  it('asks for tags where a function takes them', () => {
    const nodes = percent.params[2]
    expect(tags('', at('asPercent(a,None,¦'), nodes)?.insert('host')).toBe('"host"')
    expect(tags('', at('asPercent(a,None,"h¦'), nodes)).toMatchObject({ address: '/tags/autoComplete/tags?tagPrefix=h&limit=60', more: false })
    expect(tags('', at('asPercent(a,None,1¦'), nodes)).toBeUndefined()
  })
})

describe('functions', () => {
  it('are found by name, text and group', () => {
    expect(search(all, 'sum').flatMap((g) => g.functions.map((f) => f.name))).toEqual(['sumSeries', 'summarize'])
    expect(search(all, 'mean window').map((g) => g.name)).toEqual(['Calculate'])
    expect(search(all, 'nothing like it')).toEqual([])
    expect(search(all, '').reduce((n, g) => n + g.functions.length, 0)).toBe(all.length)
  })
  it.each([
    [moving, { windowSize: '5min' }, 'movingAverage(a.b,"5min")'],
    [moving, { windowSize: '10', xFilesFactor: '0.5' }, 'movingAverage(a.b,10,0.5)'],
    [summarize, { intervalString: '1h', func: 'sum', alignToFrom: 'true' }, 'summarize(a.b,"1h",alignToFrom=true)'],
    [summarize, { intervalString: '"1h"', func: 'max' }, 'summarize(a.b,"1h","max")'],
    [percent, { nodes: '1, 2' }, 'asPercent(a.b,None,1,2)'],
    [percent, { total: 'sumSeries(c.*)' }, 'asPercent(a.b,sumSeries(c.*))'],
    [percent, { total: '100' }, 'asPercent(a.b,100)'],
    [alias, { newName: 'the "best" one' }, "alias(a.b,'the \"best\" one')"],
    [sum, {}, 'sumSeries(a.b)'],
    [line, { value: '5' }, 'constantLine(5)'],
  ])('make a call of %o', (f, given, want) => expect(call(f, 'a.b', given as Record<string, string>)).toBe(want))
  it('check what is filled in', () => {
    const [size, share] = own(moving)
    expect([wrong(size!, ''), wrong(size!, '5min'), wrong(size!, '-3'), wrong(size!, 'five')]).toEqual(['is needed', '', '', 'is a number of points or a time such as 5min'])
    expect([wrong(share!, ''), wrong(share!, '.5'), wrong(share!, 'half')]).toEqual(['', '', 'is a number'])
    expect(wrong(own(percent)[1]!, 'a, 1')).toBe('')
  })
  it('move to the second axis and back', () => {
    expect(secondAxis('sum(a)')).toBe('secondYAxis(sum(a))')
    expect(secondAxis(secondAxis('sum(a)'))).toBe('sum(a)')
  })
})

describe('a mistake', () => {
  it('has its place', () => {
    const text = 'sum(web.one'
    expect(mistake(text, 'parse target "sum(web.one" at character 12: expected ")", found end\n  sum(web.one\n             ^')).toEqual({ at: 11, text: 'expected ")", found end' })
  })
  it('is counted in characters, as people do', () => {
    const text = 'f("🎈",x)'
    expect(mistake(text, 'evaluate target "f(\\"🎈\\",x)" at character 7: wrong').at).toBe(text.indexOf('x'))
  })
  it('without a place is told as it is', () => expect(mistake('a', 'too many series')).toEqual({ at: undefined, text: 'too many series' }))
})

describe('words to find names', () => {
  it.each([['cat ttfb', ['**.*cat*.**.*ttfb*', '**.*cat*.**.*ttfb*.**']], ['stats.ti', ['stats.ti*']], ['a*', ['a*']]])('%s', (text, want) => expect(patterns(text)).toEqual(want))
})
