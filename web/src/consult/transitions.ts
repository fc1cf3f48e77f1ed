// What this person may do with a task now, as the server says it, and the taking of it.
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { takeTransition, transitionsOf } from '../fhir';
import type { Coding, Parameter, Parameters, Task } from '../fhir-types';
import type { Language } from '../format';

export type InputType = 'string' | 'code' | 'dateTime' | 'integer' | 'Reference' | 'identity' | 'password';

/** Whom the server suggests, with its reasons: fits 1 or 0, and what is in hand. */
export interface Suggestion { post: string; specialty: number; title: number; duty: number; running: number; asked: number }

export interface TransitionInput {
  name: string;
  type: InputType;
  required: boolean;
  repeats: boolean;
  title: string;
  options: Coding[];
  target: string | undefined;
  suggestions: Suggestion[];
}

export interface Transition {
  name: string;
  title: string;
  allowed: boolean;
  reasons: string[];
  primary: boolean;
  inputs: TransitionInput[];
}

const parts = (parameter: Parameter, name: string) => (parameter.part ?? []).filter((part) => part.name === name);
const textPart = (parameter: Parameter, name: string) => {
  const part = parts(parameter, name)[0];
  return part?.valueString ?? part?.valueCode;
};
const truePart = (parameter: Parameter, name: string) => parts(parameter, name)[0]?.valueBoolean === true;

function titleOf(parameter: Parameter, language: Language, fallback: string): string {
  const zh = textPart(parameter, 'title');
  return (language === 'en' ? textPart(parameter, 'titleEn') : zh) ?? zh ?? fallback;
}

function readInput(parameter: Parameter, language: Language): TransitionInput {
  const name = textPart(parameter, 'name') ?? '';
  return {
    name,
    type: (textPart(parameter, 'type') ?? 'string') as InputType,
    required: truePart(parameter, 'required'),
    repeats: truePart(parameter, 'repeats'),
    title: titleOf(parameter, language, name),
    options: parts(parameter, 'option').flatMap((part) => (part.valueCoding ? [part.valueCoding] : [])),
    target: textPart(parameter, 'target'),
    suggestions: parts(parameter, 'suggestion').map((one) => {
      const number = (name: string) => parts(one, name)[0]?.valueInteger ?? 0;
      return { post: textPart(one, 'post') ?? '', specialty: number('specialty'), title: number('title'), duty: number('duty'), running: number('running'), asked: number('asked') };
    }),
  };
}

export function readTransitions(parameters: Parameters, language: Language): Transition[] {
  return (parameters.parameter ?? [])
    .filter((parameter) => parameter.name === 'transition')
    .map((parameter) => {
      const name = textPart(parameter, 'name') ?? '';
      const english = parts(parameter, 'reasonEn');
      const reasons = language === 'en' && english.length > 0 ? english : parts(parameter, 'reason');
      return {
        name,
        title: titleOf(parameter, language, name),
        allowed: truePart(parameter, 'allowed'),
        reasons: reasons.map((reason) => reason.valueString ?? '').filter(Boolean),
        primary: truePart(parameter, 'primary'),
        inputs: parts(parameter, 'input').map((input) => readInput(input, language)),
      };
    });
}

export function useTransitions(task: Task | undefined, language: Language) {
  return useQuery({
    queryKey: ['transitions', task?.id, task?.meta?.versionId],
    queryFn: () => transitionsOf(task?.id ?? ''),
    enabled: task?.id !== undefined,
    select: (parameters) => readTransitions(parameters, language),
  });
}

/** What a form holds for an input: a text, several texts, a number, or pairs of kind and value. */
export type InputValue = string | number | string[] | { kind: string; value: string }[] | undefined;

export function toParameters(transition: Transition, values: Record<string, InputValue>): Parameters {
  const parameter: Parameter[] = [{ name: 'transition', valueCode: transition.name }];
  for (const input of transition.inputs) {
    const value = values[input.name];
    for (const one of Array.isArray(value) ? value : [value]) {
      const made = toParameter(input, one);
      if (made) parameter.push(made);
    }
  }
  return { resourceType: 'Parameters', parameter };
}

function toParameter(input: TransitionInput, value: string | number | { kind: string; value: string } | undefined): Parameter | undefined {
  if (value === undefined || value === '' || value === null) return undefined;
  if (typeof value === 'object') {
    return { name: input.name, part: [{ name: 'kind', valueCode: value.kind }, { name: 'value', valueString: value.value.trim() }] };
  }
  switch (input.type) {
    case 'code':
      return { name: input.name, valueCode: String(value) };
    case 'dateTime':
      return { name: input.name, valueDateTime: String(value) };
    case 'integer':
      return { name: input.name, valueInteger: Number(value) };
    case 'Reference':
      return { name: input.name, valueReference: { reference: String(value) } };
    default:
      return { name: input.name, valueString: String(value).trim() };
  }
}

const FORGET_MS = 2_000;

/** Who takes one of these does not see the consult any more. */
export const LEAVING_STEPS = new Set(['decline']);

export function useTakeTransition(task: Task | undefined) {
  const client = useQueryClient();
  return useMutation({
    mutationFn: async ({ transition, values }: { transition: Transition; values: Record<string, InputValue> }) => {
      if (!task) throw new Error('no task');
      return takeTransition(task, toParameters(transition, values));
    },
    onSettled: (_, error, { transition }) => {
      // A step may touch any record; what is kept for long (the session, slices) it does not.
      const left = !error && LEAVING_STEPS.has(transition.name);
      // Asking again for what is closed to him now would only bring a 404; it is stale at once, and forgotten once its
      // screen is gone.
      if (left) void client.invalidateQueries({ queryKey: ['consult', task?.id], refetchType: 'none' });
      if (left) window.setTimeout(() => client.removeQueries({ queryKey: ['consult', task?.id], type: 'inactive' }), FORGET_MS);
      const touched = left ? ['list', 'indicators'] : ['consult', 'transitions', 'list', 'fhir', 'indicators'];
      void client.invalidateQueries({ predicate: ({ queryKey }) => touched.includes(String(queryKey[0])) });
    },
  });
}
