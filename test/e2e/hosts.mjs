// The pages about hosts, as a person works with them. The hosts are folders: a
// program mounts one as /var/lib for whatever is run there, so that each has its own
// files and nothing of this machine changes.

import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { assert, check, until } from './check.mjs'
import { accessible } from './pages.mjs'

const patient = 90000 // a first visit copies the program

// Pages with hosts on them, as in pages.mjs.
export const hostPages = [
  ['hosts', '/hosts'],
  ['host', '/hosts/web-1'],
  ['host-failed', '/hosts/box'],
  ['group', '/hosts/groups/web'],
  ['visit', '/hosts/visits/1'],
  ['tonight', '/hosts/tonight'],
  ['group-offered', '/hosts/groups/pool'],
  ['host-stopped', '/hosts/pool-1'],
  ['roles', '/roles/web'],
  ['now-hosts', '/'],
]

const into = `#!/bin/sh
# into FOLDER NAME WORDS…: runs the words on a host.
host=$1/$2; shift 2
mkdir -p "$host"
exec unshare -m sh -c 'mount --bind "$0" /var/lib && exec "$@"' "$host" "$@"
`

const definitions = (folder) => ({
  'roles/base.yaml': `description: What every host has.
resources:
  - directory: {path: /var/lib/demo}
  - file: {path: /var/lib/demo/motd, content: "Kept by Steer.\\nAsk before you touch it.\\n", mode: "0644"}
tests:
  - file: {path: /var/lib/demo/motd, mode: "0644"}
`,
  'roles/web/role.yaml': `description: Serves the **shop**.
heal: report
parameters:
  port: {type: integer, default: 8080, doc: Port of the shop}
include:
  - {role: base}
resources:
  - file: {path: /var/lib/demo/shop.conf, content: "port {{ .port }}\\n", mode: "0600"}
  - file: {path: /var/lib/demo/banner, content: "Welcome to the shop.\\n"}
`,
  'roles/broken.yaml': `description: Cannot be.
resources:
  - command: {name: stumble, run: "echo it stumbled >&2; exit 3"}
`,
  'hosts.yaml': `web:
  number: 2
  roles: [web]
  connect: command:${folder}/into ${folder} {}
  converge: {every: 1h, approve: true}
box:
  roles: [base, broken]
  connect: command:${folder}/into ${folder} {}
  converge: {every: 1h}
`,
})

// pool is an entry that a team decides about.
const pool = (folder) => `pool:
  number: 1   # for now
  roles: [base]
  connect: command:${folder}/into ${folder} {}
  self_service: {by: [storefront], most: 3}
  removed: destroy
  make:
    command:
      create: [mkdir, -p, "${folder}/{}"]
      destroy: [rm, -rf, "${folder}/{}"]
      stop: [touch, "${folder}/{}.off"]
      start: [rm, -f, "${folder}/{}.off"]
`

export async function noHosts(page, url) {
  await check('Hosts: without any, the page says what to write', async () => {
    await page.goto(url + '/')
    await page.getByRole('link', { name: 'Hosts', exact: true }).click()
    await page.getByRole('heading', { name: 'No hosts yet' }).waitFor()
    await page.getByText('hosts.yaml').first().waitFor()
    await accessible(page)
    await page.getByRole('link', { name: 'Tonight' }).click()
    await page.getByText('Nothing was visited in this time').waitFor()
    await page.getByRole('link', { name: 'Roles' }).click()
    await page.getByText('No host has it.').waitFor() // the sample that definitions come with
    assert.match(await page.locator('main').innerText(), /What has to hold there:\s+file \/etc\/motd: mode 0644/)
  })
}

// hosts makes some, and works with them; it returns the end, or nothing where hosts
// cannot be made.
export async function hosts(page, url, api, watch) {
  if (process.getuid() !== 0 || spawnSync('unshare', ['-m', 'true']).status !== 0) {
    console.log('skipped: the pages of hosts (they need root, and unshare of util-linux)')
    if (process.env.STEER_REQUIRE_ALL) await check('hosts can be made here', async () => assert.fail('they cannot'))
    return
  }
  const folder = mkdtempSync(join(tmpdir(), 'steer-hosts-'))
  writeFileSync(join(folder, 'into'), into, { mode: 0o755 })
  const file = (host, name) => join(folder, host, 'demo', name)
  const group = async (name) => (await api('/api/v1/fleet')).groups.find((g) => g.name === name)
  const host = async (name) => (await api(`/api/v1/fleet/hosts/${name}`)).host
  const dialog = page.getByRole('dialog')
  const same = () => page.evaluate(() => window.sameDocument)

  await check('Hosts: what is pushed is planned, and waits for somebody', async () => {
    const now = await api('/api/v1/definitions')
    await page.goto(url + '/hosts')
    await page.getByRole('heading', { name: 'No hosts yet' }).waitFor()
    await page.evaluate(() => { window.sameDocument = true })
    await api('/api/v1/definitions', { base: now.revision, message: 'Hosts of the shop', files: definitions(folder) })
    await page.getByRole('article').filter({ hasText: 'waits for approval' }).waitFor({ timeout: patient })
    assert.equal(await same(), true)
    await page.getByRole('link', { name: 'Read its plan and decide' }).click()
    await page.waitForURL('**/hosts/groups/web')
    const plan = page.getByRole('article').filter({ hasText: 'Same on web-1, web-2' })
    await plan.waitFor()
    assert.match(await plan.innerText(), /\+port 8080/)
    assert.match(await plan.innerText(), /roles\/web\/role\.yaml:\d+/)
    assert.match(await page.getByRole('region', { name: 'The change' }).innerText(), /Hosts of the shop/)
    await accessible(page)
  })

  await check('Hosts: who approves lets the change through, first to one', async () => {
    await page.getByRole('button', { name: 'Approve …' }).click()
    await dialog.getByLabel(/^Why/).fill('read it')
    await dialog.getByRole('button', { name: 'Approve', exact: true }).click()
    await dialog.waitFor({ state: 'hidden' })
    await page.getByText(/2 of 2 follow/).waitFor({ timeout: patient })
    assert.equal(readFileSync(file('web-2', 'shop.conf'), 'utf8'), 'port 8080\n')
    const decided = await api('/api/v1/events?subject=group/web')
    assert.ok(decided.some((e) => e.reason === 'read it'), 'the reason is in the journal')
  })

  await check('Hosts: the list finds by name, role and state, and the address keeps it', async () => {
    await page.goto(url + '/hosts')
    const rows = page.getByRole('group', { name: 'Hosts' }).locator('tbody tr')
    await until('all are there', async () => (await rows.count()) === 3)
    await page.getByLabel('Find').fill('role:web web-2')
    await until('one is left', async () => (await rows.count()) === 1)
    assert.equal(new URL(page.url()).searchParams.get('q'), 'role:web web-2')
    await page.reload()
    await until('it is kept', async () => (await rows.count()) === 1)
    await page.getByLabel('Find').fill('nothing')
    await page.getByText('No host fits').waitFor()
    await until('box failed', async () => (await host('box')).state === 'failed', patient)
    await page.goto(url + '/hosts')
    await page.getByRole('link', { name: '1 failed' }).click()
    await rows.filter({ hasText: 'stumble' }).waitFor()
  })

  await check('Host: what was changed by hand shows against what it should be', async () => {
    writeFileSync(file('web-1', 'shop.conf'), 'port 9090\n')
    await page.goto(url + '/hosts/web-1')
    await page.getByRole('button', { name: 'Converge now …' }).click()
    await dialog.getByLabel(/^Why/).fill('to see the drift')
    await dialog.getByRole('button', { name: 'Converge', exact: true }).click()
    await page.waitForURL(/\/hosts\/visits\/\d+/)
    await page.getByText('to see the drift').waitFor()
    await page.getByText('1 drifted').first().waitFor({ timeout: patient })
    await page.getByRole('link', { name: 'web-1', exact: true }).first().click()
    await page.getByRole('heading', { name: '1 resource not as declared' }).waitFor()
    const drift = page.getByRole('region', { name: 'Drift' })
    assert.match(await drift.innerText(), /-port 9090\s+\+port 8080/)
    // The visit opens in place, with the keyboard.
    const line = page.locator('section', { has: page.getByRole('heading', { name: 'Visits' }) }).getByRole('button', { name: 'converged' }).first()
    await line.focus()
    await page.keyboard.press('Enter')
    await page.locator('section', { has: page.getByRole('heading', { name: 'Visits' }) }).getByText('file:/var/lib/demo/shop.conf').first().waitFor()
    await page.getByRole('heading', { name: 'Siblings' }).waitFor()
    await page.getByText('differs in 1 resource').waitFor()
    await accessible(page)
  })

  await check('Host: heal puts it right', async () => {
    await page.getByRole('button', { name: 'Heal file:/var/lib/demo/shop.conf' }).click()
    await dialog.getByRole('button', { name: 'Heal', exact: true }).click()
    await page.waitForURL(/\/hosts\/visits\/\d+/)
    await page.getByText('1 changed').first().waitFor({ timeout: patient })
    assert.equal(readFileSync(file('web-1', 'shop.conf'), 'utf8'), 'port 8080\n')
  })

  await check('Host: accept shows the commit and whom it reaches, then makes it', async () => {
    writeFileSync(file('web-1', 'shop.conf'), 'port 9191\n')
    writeFileSync(file('web-1', 'banner'), 'Closed today.\n')
    await api('/api/v1/fleet/visits', { hosts: ['web-1'], kind: 'converge' })
    await page.goto(url + '/hosts/web-1')
    await watch.expecting(/409/, async () => {
      await page.getByRole('button', { name: 'Accept file:/var/lib/demo/shop.conf' }).click({ timeout: patient })
      await dialog.getByText('a template makes its content: change it by hand').waitFor({ timeout: patient })
      assert.equal(await dialog.getByRole('button', { name: 'Commit' }).isDisabled(), true)
      await page.keyboard.press('Escape')
      await dialog.waitFor({ state: 'hidden' })
    })
    await page.getByRole('button', { name: 'Accept file:/var/lib/demo/banner' }).click()
    await dialog.getByText('makes it the declaration').waitFor({ timeout: patient })
    assert.match(await dialog.innerText(), /\+.*Closed today/)
    assert.match(await dialog.innerText(), /1 other host: web-2/)
    await accessible(page)
    await dialog.getByLabel(/^Why/).fill('There is a holiday')
    await dialog.getByRole('button', { name: 'Commit' }).click()
    await page.getByRole('status').getByText('is accepted').waitFor()
    const { files } = await api('/api/v1/definitions')
    assert.match(files['roles/web/role.yaml'], /Closed today/)
    await until('its group asks again', async () => (await group('web')).phase === 'asking', patient)
  })

  await check('Host: paused with a reason, and resumed', async () => {
    await page.goto(url + '/hosts/web-2')
    await page.getByLabel('More actions').click()
    await page.getByRole('button', { name: 'Pause …' }).click()
    await dialog.getByRole('button', { name: 'Pause', exact: true }).click()
    assert.equal(await dialog.isVisible(), true) // it asks for a reason
    await dialog.getByLabel(/^Why/).fill('looking for something')
    await dialog.getByRole('button', { name: 'Pause', exact: true }).click()
    await page.getByText('looking for something').first().waitFor()
    await page.goto(url + '/hosts?q=is:paused')
    await page.getByRole('heading', { name: '1 of 3 hosts' }).waitFor()
    await page.getByRole('button', { name: 'Resume web-2' }).click()
    await dialog.getByRole('button', { name: 'Resume' }).click()
    await page.getByRole('heading', { name: '0 of 3 hosts' }).waitFor()
  })

  await check('Tonight: failures first, then what else happened; each line opens', async () => {
    await page.goto(url + '/hosts/tonight')
    const headings = await until('they are there', async () => { const all = await page.getByRole('heading', { level: 2 }).allInnerTexts(); return all.length > 1 && all })
    assert.match(headings[0], /^Failed/)
    assert.ok(headings.some((h) => /^Changes that are not done/.test(h)), headings.join(', '))
    await page.getByRole('button', { name: 'converge failed' }).first().click()
    await page.getByText('command:stumble').first().waitFor()
    await page.getByRole('button', { name: '7 days' }).click()
    await page.waitForURL(/range=7d/)
  })

  await check('Now: a line about hosts leads to what is wrong', async () => {
    await page.goto(url + '/')
    await page.getByRole('link', { name: 'web waits for approval' }).waitFor()
    await page.getByRole('link', { name: '1 host failed' }).click()
    await page.waitForURL('**/hosts/box')
    await page.getByText('Why it failed').first().waitFor()
  })

  await check('Incidents: one about hosts leads to them', async () => {
    const { check: about, id } = (await api('/api/v1/incidents?open=true')).find((i) => /^(group|host)\/box$/.test(i.check))
    await page.goto(`${url}/incidents/${id}`)
    await page.getByRole('link', { name: 'box', exact: true }).click()
    await page.waitForURL(about.startsWith('group/') ? '**/hosts/groups/box' : '**/hosts/box')
  })

  await check('Roles: the definition is the documentation', async () => {
    await page.goto(url + '/roles')
    await page.getByRole('navigation', { name: 'Roles' }).getByRole('link', { name: /^web/ }).click()
    await page.waitForURL('**/roles/web')
    const text = await page.locator('main').innerText()
    assert.match(text, /Serves the shop\./)
    assert.match(text, /port\s+integer\s+8080\s+Port of the shop/)
    await page.getByRole('link', { name: 'web-1', exact: true }).waitFor()
  })

  await check('Group: more hosts are a number and a reason, and come by themselves', async () => {
    const now = await api('/api/v1/definitions')
    await api('/api/v1/definitions', { base: now.revision, message: 'A pool', files: { 'hosts.yaml': now.files['hosts.yaml'] + pool(folder) } })
    await until('the first is there', async () => (await group('pool'))?.phase === 'done', patient)
    await page.goto(url + '/hosts/groups/pool')
    const plus = page.getByRole('button', { name: 'More hosts of pool' })
    await plus.waitFor()
    assert.equal(await page.getByRole('button', { name: 'Fewer hosts of pool' }).isDisabled(), true)
    await plus.focus()
    await page.keyboard.press('Enter')
    await dialog.getByText('Made: pool-2.').waitFor()
    await accessible(page)
    await dialog.getByRole('button', { name: 'Commit' }).click()
    assert.equal(await dialog.isVisible(), true) // it asks for a reason
    await dialog.getByLabel(/^Why/).fill('more visitors')
    await dialog.getByRole('button', { name: 'Commit' }).click()
    await page.getByRole('status').getByText('pool has 2 hosts').waitFor()
    await until('it is made', async () => (await host('pool-2').catch(() => ({}))).state === 'converged', patient)
    assert.match((await api('/api/v1/definitions')).files['hosts.yaml'], /number: 2   # for now/)
    await page.getByRole('link', { name: 'pool-2', exact: true }).first().waitFor({ timeout: patient })
  })

  await check('Group: a host for a time comes, says when it goes, and is returned', async () => {
    await page.getByRole('button', { name: 'Request …' }).click()
    await dialog.getByLabel('For').selectOption('1h')
    await dialog.getByLabel(/^Why/).fill('a test')
    await dialog.getByRole('button', { name: 'Commit' }).click()
    await page.getByRole('button', { name: /^Return pool-/ }).waitFor()
    await page.getByText('There are as many as there may be').waitFor()
    const { name } = (await api('/api/v1/fleet/offers'))[0].loans[0]
    await until('it is made', async () => (await host(name).catch(() => ({}))).state === 'converged', patient)
    await page.goto(url + '/hosts/' + name)
    await page.getByText(/and destroyed then/).waitFor()
    await accessible(page)
    await page.goto(url + '/hosts/groups/pool')
    await page.getByRole('button', { name: 'Return ' + name }).click()
    await dialog.getByText(name + ': destroyed').waitFor()
    await dialog.getByRole('button', { name: 'Destroy' }).click()
    await page.getByRole('status').getByText('is destroyed now').waitFor()
    await until('it is gone', async () => !(await api('/api/v1/fleet')).hosts.some((h) => h.name === name), patient)
  })

  await check('Host: stopped by somebody it is left alone, and starts again', async () => {
    await page.goto(url + '/hosts/pool-1')
    const press = async (what) => {
      await page.getByLabel('More actions').click()
      await page.getByRole('button', { name: what }).click()
    }
    await press('Stop …')
    await dialog.getByText('nothing visits or replaces it').waitFor()
    await dialog.getByLabel(/^Why/).fill('new memory')
    await dialog.getByRole('button', { name: 'Stop', exact: true }).click()
    await page.waitForURL(/\/hosts\/visits\/\d+/)
    await until('it is stopped', async () => (await host('pool-1')).state === 'stopped', patient)
    await page.goto(url + '/hosts')
    await page.getByRole('link', { name: 'Start pool-1' }).click()
    await page.getByText('It was stopped by admin: new memory').waitFor()
    await page.getByRole('button', { name: 'Start …' }).click()
    await dialog.getByRole('button', { name: 'Start', exact: true }).click()
    await until('it runs', async () => (await host('pool-1')).state === 'converged', patient)
    await page.goto(url + '/hosts/pool-1')
    await press('Stop …') // and stays so for the pictures
    await dialog.getByRole('button', { name: 'Stop', exact: true }).click()
    await until('it is stopped', async () => (await host('pool-1')).state === 'stopped', patient)
  })

  await check('Host: one that does not exist says so', () => watch.expecting(/404/, async () => {
    await page.goto(url + '/hosts/none')
    assert.match(await page.getByRole('alert').innerText(), /Not found.*no host "none"/s)
    await page.goto(url + '/hosts') // a page asks again and again
  }))

  return {
    async end() {
      await check('Hosts: definitions without them leave the list', async () => {
        const now = await api('/api/v1/definitions')
        await api('/api/v1/definitions', { base: now.revision, message: 'No hosts any more', files: Object.fromEntries(Object.keys(definitions(folder)).map((f) => [f, null])) })
        await page.goto(url + '/hosts')
        await page.getByRole('link', { name: '5 not declared any more' }).click()
        await page.getByRole('group', { name: 'Hosts' }).getByText('web-2').first().waitFor()
        // One that Steer made is destroyed by whoever types its name.
        await page.goto(url + '/hosts/pool-2')
        await page.getByRole('button', { name: 'Destroy …' }).click()
        await dialog.getByLabel(/^Type pool-2/).fill('pool-2')
        await dialog.getByRole('button', { name: 'Destroy', exact: true }).click()
        await until('it is gone', async () => !(await api('/api/v1/fleet')).hosts.some((h) => h.name === 'pool-2'), patient)
        assert.equal(existsSync(join(folder, 'pool-2')), false)
        await until('no visit is under way', async () => (await api('/api/v1/fleet')).hosts.every((h) => !h.running), patient)
      })
      rmSync(folder, { recursive: true, force: true })
    },
  }
}
