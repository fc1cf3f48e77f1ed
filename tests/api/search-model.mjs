// R4 search a second time, in plain words and slowly: the parameters' expressions over the trees of resources, and their values
// compared with a question as the standard reads (3.1.1.4). It shares nothing with the program but definitions/r4.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

const SITE_MINUTES = 480; // site.timezone: dates that say no zone

const table = (root, name) => readFileSync(join(root, 'definitions/r4', name), 'utf8').split('\n').filter(Boolean).map((line) => line.split('\t'));

export function readDefinitions(root) {
  const elements = new Map();
  for (const [type, name, choice, , , , value, targets, , set] of table(root, 'elements.tsv')) {
    if (!elements.has(type)) elements.set(type, []);
    elements.get(type).push({ name, choice, type: value, targets, set });
  }
  const kinds = new Map(table(root, 'types.tsv').map(([name, kind]) => [name, kind]));
  const sets = new Map();
  for (const [url, system, codes] of table(root, 'value_sets.tsv')) sets.set(url, [...(sets.get(url) ?? []), { system, codes: codes.split(' ') }]);
  const parameters = table(root, 'search.tsv').map(([type, code, kind, targets, expression, components]) => ({
    type, code, kind, targets: targets.split(' ').filter(Boolean), expression,
    components: components ? components.split('; ').map((c) => ({ code: c.slice(0, c.indexOf('=')), expression: c.slice(c.indexOf('=') + 1) })) : [],
  }));
  const resources = [...kinds].filter(([, kind]) => kind === 'resource').map(([name]) => name).filter((name) => !['Resource', 'DomainResource'].includes(name));
  const of = (type) => parameters.filter((p) => [type, 'Resource', 'DomainResource'].includes(p.type));
  return { elements, kinds, sets, resources, of };
}

// ---- expressions: what the 1,706 of them use of FHIRPath ----

function tokens(text) {
  const found = [...text.matchAll(/'(?:[^'])*'|[A-Za-z_%$][\w-]*|\d+|!=|[().|=[\]]/g)].map((m) => m[0]);
  return found;
}

// Trees: {op, ...}; precedence here: `is`/`as` bind looser than the dot, then |, then = and !=, then and.
function parse(text) {
  const list = tokens(text);
  let at = 0;
  const take = (token) => (list[at] === token ? (at++, true) : false);
  const must = (token) => { if (!take(token)) throw new Error(`${token} expected in ${text}`); };
  const primary = () => {
    if (take('(')) {
      const inner = conjunction();
      must(')');
      return inner;
    }
    const token = list[at++];
    if (token.startsWith("'")) return { op: 'literal', value: token.slice(1, -1) };
    if (token === 'true' || token === 'false') return { op: 'literal', value: token === 'true' };
    if (/^\d/.test(token)) return { op: 'literal', value: Number(token) };
    return call(token, { op: 'start' });
  };
  const call = (name, of) => {
    if (!take('(')) return { op: 'member', name, of };
    const argument = list[at] === ')' ? undefined : conjunction();
    must(')');
    return { op: 'call', name, of, argument };
  };
  const path = () => {
    let tree = primary();
    for (;;) {
      if (take('.')) tree = call(list[at++], tree);
      else if (take('[')) {
        tree = { op: 'index', of: tree, at: Number(list[at++]) };
        must(']');
      } else return tree;
    }
  };
  const typed = () => {
    const tree = path();
    if (list[at] === 'as' || list[at] === 'is') return { op: list[at++], of: tree, type: list[at++] };
    return tree;
  };
  const union = () => {
    let tree = typed();
    while (take('|')) tree = { op: 'union', left: tree, right: typed() };
    return tree;
  };
  const equality = () => {
    const tree = union();
    if (list[at] === '=' || list[at] === '!=') return { op: list[at++], left: tree, right: union() };
    return tree;
  };
  const conjunction = () => {
    let tree = equality();
    while (take('and')) tree = { op: 'and', left: tree, right: equality() };
    return tree;
  };
  const tree = conjunction();
  if (at !== list.length) throw new Error(`${list[at]} left over in ${text}`);
  return tree;
}

const nameOf = (type) => (type === 'DateTime' ? 'dateTime' : type); // the standard's slip in code-value-date

export class Model {
  constructor(root) {
    Object.assign(this, readDefinitions(root));
    this.trees = new Map();
  }

  children(item, name) {
    const list = (value, type, element) => (Array.isArray(value) ? value : [value]).filter((v) => v !== null).map((v) => ({ value: v, type: v?.resourceType ?? type, element, parent: item }));
    if (item.value === null || typeof item.value !== 'object') return [];
    const own = this.elements.get(item.type) ?? [];
    return own.filter((e) => (e.name === name && !e.choice) || e.choice === name).flatMap((e) => (item.value[e.name] === undefined ? [] : list(item.value[e.name], e.type, e)));
  }

  is(item, type) {
    return item.type === nameOf(type);
  }

  // What a reference leads to is known by its text alone, but for what the resource itself contains.
  resolved({ value }, root) {
    const text = typeof value === 'string' ? value : value?.reference ?? '';
    const inside = text.startsWith('#') ? (root.value.contained ?? []).find((c) => `#${c.id}` === text) : undefined;
    if (inside) return [{ value: inside, type: inside.resourceType }];
    const found = /(?:^|\/)([A-Z]\w+)\/[A-Za-z0-9.-]{1,64}(?:\/_history\/.*)?$/.exec(text.split('|')[0]);
    return found && this.kinds.get(found[1]) === 'resource' ? [{ value: {}, type: found[1] }] : [];
  }

  evaluate(tree, input, root) {
    const run = (t, from = input) => this.evaluate(t, from, root);
    const truth = (items) => items.length > 0 && items[0].value !== false;
    const bool = (value) => [{ value, type: 'boolean' }];
    switch (tree.op) {
      case 'start': return input;
      case 'literal': return [{ value: tree.value, type: typeof tree.value === 'boolean' ? 'boolean' : 'string' }];
      case 'member': {
        const of = run(tree.of);
        if (tree.of.op === 'start' && tree.name === '%resource') return [root];
        if (tree.of.op === 'start' && /^[A-Z]/.test(tree.name)) return of.filter((item) => item.type === tree.name || (['Resource', 'DomainResource'].includes(tree.name) && item === root));
        return of.flatMap((item) => this.children(item, tree.name));
      }
      case 'index': return run(tree.of).slice(tree.at, tree.at + 1);
      case 'as': return run(tree.of).filter((item) => this.is(item, tree.type));
      case 'is': return run(tree.of).slice(0, 1).flatMap((item) => bool(this.is(item, tree.type)));
      case 'union': return [...run(tree.left), ...run(tree.right)];
      case 'and': return bool(truth(run(tree.left)) && truth(run(tree.right)));
      case '=': case '!=': {
        const [a, b] = [run(tree.left), run(tree.right)];
        if (a.length === 0 || b.length === 0) return [];
        return bool((a[0].value === b[0].value) === (tree.op === '='));
      }
      case 'call': {
        const of = run(tree.of);
        switch (tree.name) {
          case 'where': return of.filter((item) => truth(run(tree.argument, [item])));
          case 'as': return of.filter((item) => this.is(item, tree.argument.name));
          case 'exists': return bool(of.length > 0);
          case 'resolve': return of.flatMap((item) => this.resolved(item, root));
          default: throw new Error(`function ${tree.name}`);
        }
      }
      default: throw new Error(tree.op);
    }
  }

  items(expression, resource, from = undefined) {
    if (!this.trees.has(expression)) this.trees.set(expression, parse(expression));
    const root = { value: resource, type: resource.resourceType };
    return this.evaluate(this.trees.get(expression), [from ?? root], root);
  }

  // One entry a repetition: for a composite the list of each component's values.
  values(parameter, resource) {
    const items = this.items(parameter.expression, resource);
    if (parameter.kind !== 'composite') return items;
    return items.map((item) => parameter.components.map((c) => this.items(c.expression, resource, item)));
  }

  find(type, code) {
    return this.of(type).find((p) => p.code === code);
  }
}

// ---- texts of questions ----

export const escaped = (text) => text.replace(/[\\,|$]/g, (c) => `\\${c}`);

// The parts between separators that have no \ before them; escapes stay.
const parts = (text, separator) => {
  const found = [''];
  for (let i = 0; i < text.length; i++) {
    if (text[i] === separator) found.push('');
    else found[found.length - 1] += text[i] === '\\' && i + 1 < text.length ? text[i] + text[++i] : text[i];
  }
  return found;
};
const plain = (text) => text.replace(/\\([\\,|$])/g, '$1');

const prefixed = (text) => {
  const found = /^(eq|ne|gt|lt|ge|le|sa|eb|ap)(?=.)/.exec(text);
  return found ? [found[1], text.slice(2)] : ['eq', text];
};

// ---- string ----

export const normalised = (text) => text.normalize('NFKC').toLowerCase().normalize('NFD').replace(/\p{Mn}/gu, '').normalize('NFKC').replace(/\s+/g, ' ').trim();

function strings({ value, type }) {
  if (type === 'HumanName') {
    const list = [value.text, value.family, ...(value.given ?? []), ...(value.prefix ?? []), ...(value.suffix ?? [])];
    if (!value.text && value.family && value.given?.[0]) list.push(`${value.given[0]} ${value.family}`); // ours: the name as it is written
    return list.filter(Boolean);
  }
  if (type === 'Address') return [value.text, ...(value.line ?? []), value.city, value.district, value.state, value.country, value.postalCode].filter(Boolean);
  return typeof value === 'object' ? [] : [String(value)];
}

const stringFits = (item, modifier, text) => strings(item).some((own) => {
  if (modifier === 'exact') return own === plain(text);
  const [row, asked] = [normalised(own), normalised(plain(text))];
  return modifier === 'contains' ? row.includes(asked) : row.startsWith(asked);
});

// ---- token ----

// [system, code] of each coding; system undefined: it is the definition's.
function tokensOf({ value, type }) {
  switch (type) {
    case 'CodeableConcept': return (value.coding ?? []).map((c) => [c.system ?? '', c.code]);
    case 'Coding': return [[value.system ?? '', value.code]];
    case 'Identifier': return [[value.system ?? '', value.value]];
    case 'ContactPoint': return [['', value.value]];
    default: return typeof value === 'object' ? [] : [[undefined, String(value)]];
  }
}

const tokenFits = (model, item, text) => {
  const [first, second] = parts(text, '|').map(plain);
  if (item.type === 'string') return normalised(item.value) === normalised(first);
  return tokensOf(item).some(([system, code]) => {
    if (second === undefined) return code === first;
    if (system === undefined) {
      const set = model.sets.get(item.element?.set) ?? [];
      const systems = set.filter((s) => s.codes.includes(code)).map((s) => s.system);
      const inSystem = first === '' || set.length === 0 || systems.includes(first);
      return inSystem && (second === '' ? set.length > 0 || first === '' : code === second);
    }
    return system === first && (second === '' ? true : code === second);
  });
};

const ofTypeFits = ({ value }, text) => {
  const [system, code, own] = parts(text, '|').map(plain);
  return (value.type?.coding ?? []).some((c) => (c.system ?? '') === system && c.code === code) && value.value === own;
};

// ---- reference, uri ----

const withoutVersion = (text) => text.replace(/\/_history\/.*$/, '');

function referenceText({ value }) {
  if (typeof value === 'string') return value;
  if (value.resourceType) return value.id ? `${value.resourceType}/${value.id}` : '';
  return withoutVersion(value.reference ?? '');
}

const referenceFits = (model, parameter, item, modifier, text) => {
  if (modifier === 'identifier') return item.value?.identifier !== undefined && tokenFits(model, { value: item.value.identifier, type: 'Identifier' }, text);
  const own = referenceText(item);
  const asked = plain(text);
  const any = parameter.targets.length === 0 || parameter.targets.includes('Resource');
  if (own === '' || own.startsWith('#')) return false;
  if (item.value?.resourceType && !any && !parameter.targets.includes(item.value.resourceType)) return false;
  if (modifier) return own === `${modifier}/${asked}`;
  if (!/[/:]/.test(asked)) {
    const [type, id, more] = own.split('/');
    return more === undefined && id === asked && (any || parameter.targets.includes(type));
  }
  return own === withoutVersion(asked) || own.split('|')[0] === asked;
};

const uriFits = (item, modifier, text) => {
  const [own, asked] = [String(item.value), plain(text)];
  if (modifier === 'below') return own.startsWith(asked);
  if (modifier === 'above') return asked.startsWith(own) && (own === asked || own.endsWith('/') || asked[own.length] === '/');
  return own === asked || own.split('|')[0] === asked;
};

// ---- date ----

export function span(text) {
  const found = /^(\d{4})(?:-(\d\d)(?:-(\d\d)(?:T(\d\d):(\d\d)(?::(\d\d)(?:\.(\d+))?)?(Z|[+-]\d\d:\d\d)?)?)?)?$/.exec(text);
  if (!found) return undefined;
  const [, year, month, day, hour, minute, second, fraction, zone] = found;
  const numbers = [Number(year), Number(month ?? 1) - 1, Number(day ?? 1), Number(hour ?? 0), Number(minute ?? 0), Number(second ?? 0)];
  const offset = zone === undefined ? SITE_MINUTES : zone === 'Z' ? 0 : (zone[0] === '-' ? -1 : 1) * (Number(zone.slice(1, 3)) * 60 + Number(zone.slice(4)));
  const last = second !== undefined ? 5 : minute !== undefined ? 4 : day !== undefined ? 2 : month !== undefined ? 1 : 0;
  const date = (n) => { const d = new Date(0); d.setUTCFullYear(n[0], n[1], n[2]); d.setUTCHours(n[3], n[4], n[5], 0); return d.getTime() - offset * 60000; };
  if (fraction !== undefined) {
    const ms = Number(`0.${fraction}`.slice(0, 5)) * 1000;
    const from = date(numbers) + Math.round(ms);
    return [from, from + (fraction.length >= 3 ? 1 : 10 ** (3 - fraction.length))];
  }
  const next = [...numbers];
  next[last] += 1;
  return [date(numbers), date(next)];
}

function spans({ value, type }) {
  const period = (p) => {
    const [start, end] = [p?.start && span(p.start), p?.end && span(p.end)];
    return start || end ? [[start ? start[0] : -Infinity, end ? end[1] : Infinity]] : [];
  };
  if (type === 'Period') return period(value);
  if (type === 'Timing') {
    const events = (value.event ?? []).map(span).filter(Boolean);
    const outer = events.length ? [[Math.min(...events.map((e) => e[0])), Math.max(...events.map((e) => e[1]))]] : [];
    return [...outer, ...period(value.repeat?.boundsPeriod)];
  }
  const one = typeof value === 'string' ? span(value) : undefined;
  return one ? [one] : [];
}

const dateFits = (item, text) => {
  const [prefix, rest] = prefixed(text);
  const [from, to] = span(rest);
  return spans(item).some(([start, end]) => {
    const within = start >= from && end <= to;
    switch (prefix) {
      case 'eq': return within;
      case 'ne': return !within;
      case 'gt': return end > to;
      case 'lt': return start < from;
      case 'ge': return within || end > to;
      case 'le': return within || start < from;
      case 'sa': return start >= to;
      case 'eb': return end <= from;
      default: throw new Error(prefix);
    }
  });
};

// ---- number, quantity ----

// [value, half of what its last digit stands for]
const digits = (text) => {
  const [mantissa, exponent = '0'] = text.toLowerCase().split('e');
  const places = (mantissa.split('.')[1] ?? '').length;
  return [Number(text), 0.5 * 10 ** (Number(exponent) - places)];
};

function ranges({ value, type }) {
  const one = (q) => {
    if (typeof q?.value !== 'number') return undefined;
    const low = ['<', '<='].includes(q.comparator) ? -Infinity : q.value;
    const high = ['>', '>='].includes(q.comparator) ? Infinity : q.value;
    return { low, high, system: q.currency ? 'urn:iso:std:iso:4217' : q.system, code: q.code ?? q.currency, unit: q.unit };
  };
  if (typeof value === 'number') return [{ low: value, high: value }];
  if (type === 'Range') {
    const [low, high] = [one(value.low), one(value.high)];
    return low || high ? [{ ...(low ?? high), low: low ? low.low : -Infinity, high: high ? high.high : Infinity }] : [];
  }
  const found = one(value);
  return found ? [found] : [];
}

const numberFits = (item, text) => {
  const [asked, system, code] = parts(text, '|').map(plain);
  const [prefix, rest] = prefixed(asked);
  const [number, half] = digits(rest);
  return ranges(item).some((range) => {
    if (code !== undefined && code !== '' && !(system === '' ? range.code === code || range.unit === code : range.system === system && range.code === code)) return false;
    const within = range.low >= number - half && range.high < number + half;
    switch (prefix) {
      case 'eq': return within;
      case 'ne': return !within;
      case 'gt': return range.high > number;
      case 'lt': return range.low < number;
      case 'ge': return range.high >= number;
      case 'le': return range.low <= number;
      case 'sa': return range.low > number;
      case 'eb': return range.high < number;
      case 'ap': return range.low <= number + 0.1 * Math.abs(number) && range.high >= number - 0.1 * Math.abs(number);
      default: throw new Error(prefix);
    }
  });
};

// ---- a value against a question ----

export function itemFits(model, parameter, item, modifier, text) {
  switch (parameter.kind) {
    case 'string': return stringFits(item, modifier, text);
    case 'token': return modifier === 'of-type' ? ofTypeFits(item, text) : tokenFits(model, item, text);
    case 'reference': return referenceFits(model, parameter, item, modifier, text);
    case 'uri': return uriFits(item, modifier, text);
    case 'date': return dateFits(item, text);
    case 'number': case 'quantity': return numberFits(item, text);
    default: throw new Error(parameter.kind);
  }
}

// Whether a resource fits one "name:modifier=a,b".
export function fits(model, parameter, resource, modifier, text) {
  const values = model.values(parameter, resource);
  if (modifier === 'missing') {
    const there = parameter.kind === 'composite' ? values.some((v) => v.every((items) => items.length > 0)) : values.length > 0;
    return there === (text === 'false');
  }
  if (modifier === 'not') return !fits(model, parameter, resource, undefined, text);
  return parts(text, ',').some((one) => {
    if (parameter.kind !== 'composite') return values.some((item) => itemFits(model, parameter, item, modifier, one));
    const asked = parts(one, '$');
    const component = (i) => ({ ...model.find(parameter.type, parameter.components[i].code), type: parameter.type });
    return values.some((repetition) => repetition.every((items, i) => items.some((item) => itemFits(model, component(i), item, undefined, asked[i]))));
  });
}

// ---- questions that a value suggests ----

const swapCase = (text) => text.replace(/[a-z]/gi, (c) => (c === c.toLowerCase() ? c.toUpperCase() : c.toLowerCase()));

function tokenQuestions(item) {
  const list = tokensOf(item).flatMap(([system, code]) => [
    ...(code ? [[undefined, escaped(code)], ['not', escaped(code)]] : []),
    ...(code && item.type === 'string' ? [[undefined, escaped(swapCase(code))]] : []),
    ...(code && system ? [[undefined, `${escaped(system)}|${escaped(code)}`], [undefined, `urn:other|${escaped(code)}`]] : []),
    ...(code && system !== undefined && item.type !== 'ContactPoint' ? [[undefined, `|${escaped(code)}`]] : []),
    ...(system ? [[undefined, `${escaped(system)}|`]] : []),
  ]);
  if (item.type === 'Identifier' && item.value.value) {
    for (const c of item.value.type?.coding ?? []) list.push(['of-type', `${escaped(c.system ?? '')}|${escaped(c.code ?? '')}|${escaped(item.value.value)}`]);
  }
  return list;
}

function dateQuestions(item) {
  const { value, type } = item;
  const texts = type === 'Period' ? [value.start, value.end] : type === 'Timing' ? [...(value.event ?? []), value.repeat?.boundsPeriod?.start] : [value];
  return texts.filter((t) => typeof t === 'string' && span(t)).flatMap((text) => {
    const day = text.slice(0, 10);
    return [text, day, text.slice(0, 7), text.slice(0, 4)].filter((t, i, all) => span(t) && all.indexOf(t) === i)
      .flatMap((t) => ['', 'ne', 'gt', 'lt', 'ge', 'le', 'sa', 'eb'].map((prefix) => [undefined, prefix + t]));
  });
}

function numberQuestions(parameter, item) {
  return ranges(item).flatMap((range) => {
    const numbers = [range.low, range.high].filter((n) => Number.isFinite(n));
    const asked = numbers.flatMap((n) => [String(n), n.toPrecision(2).includes('e') ? n.toExponential(1) : n.toPrecision(2)]);
    const all = asked.flatMap((n) => ['', 'ne', 'gt', 'lt', 'ge', 'le', 'sa', 'eb', 'ap'].map((prefix) => [undefined, prefix + n]));
    if (parameter.kind !== 'quantity') return all;
    const units = [];
    if (range.code && range.system && range.system !== 'http://unitsofmeasure.org') units.push(`|${escaped(range.system)}|${escaped(range.code)}`);
    if (range.code || range.unit) units.push(`||${escaped(range.code ?? range.unit)}`);
    return [...all, ...units.flatMap((unit) => numbers.flatMap((n) => [[undefined, n + unit], [undefined, `gt${n}${unit}`], [undefined, `le${n}${unit}`]]))];
  });
}

export function questions(parameter, item) {
  switch (parameter.kind) {
    case 'string': return strings(item).flatMap((text) => {
      const some = text.length > 60 ? text.slice(0, 60) : text;
      const middle = [...text.slice(0, 80)].slice(2, 7).join('').trim();
      return [[undefined, escaped(some)], [undefined, escaped(swapCase(some.slice(0, 5)))], ['exact', escaped(text)], ['exact', escaped(swapCase(text))], ['exact', escaped(text.slice(0, -1) || 'x')],
        ...(middle.length > 2 ? [['contains', escaped(middle)], [undefined, escaped(middle)]] : [])];
    });
    case 'token': return tokenQuestions(item);
    case 'reference': {
      const text = referenceText(item);
      const identifier = item.value?.identifier;
      const list = identifier?.value ? [['identifier', `${escaped(identifier.system ?? '')}|${escaped(identifier.value)}`], ['identifier', escaped(identifier.value)]] : [];
      if (text === '' || text.startsWith('#')) return list;
      list.push([undefined, escaped(text)]);
      if (text.includes('|')) list.push([undefined, escaped(text.split('|')[0])]);
      const local = /^([A-Z]\w+)\/([A-Za-z0-9.-]+)$/.exec(text);
      if (local) list.push([undefined, local[2]], [local[1], local[2]], [undefined, `${text}/_history/7`], [undefined, `${text}x`], [undefined, `Patient/nobody,${text}`]);
      return list;
    }
    case 'uri': {
      const text = String(item.value);
      const shorter = text.replace(/[/:][^/:]*$/, '');
      const exact = [[undefined, escaped(text)], [undefined, escaped(`${text}x`)]];
      if (text.startsWith('urn:')) return exact; // R4 3.1.1.4.9: nothing is above or below a URN
      return [...exact, ['below', escaped(text)], ['above', escaped(text)], ['above', escaped(`${text}/x`)], ['above', escaped(`${text}x`)], ...(shorter.length > 6 ? [['below', escaped(shorter)], ['above', escaped(shorter)]] : [])];
    }
    case 'date': return dateQuestions(item);
    case 'number': case 'quantity': return numberQuestions(parameter, item);
    default: return [];
  }
}
