// A printed copy is a record before it is paper: its number stands on the sheet, its mark in the QR code.
import { useMutation, useQueryClient } from '@tanstack/react-query';
import type { Consult } from '../consult/data';
import { searchMany, takeTransition } from '../fhir';
import type { Bundle, Communication } from '../fhir-types';
import { codeOf, codes, extensionOf } from '../names';

export type Variant = 'record' | 'patient';

const MARK_CHARACTERS = 16;

/** The end of the signature in the alphabet of addresses; the server compares it (src/api/verify.c). */
export function markOf(bundle: Bundle): string {
  return (bundle.signature?.data ?? '').replace(/=+$/, '').slice(-MARK_CHARACTERS).replaceAll('+', '-').replaceAll('/', '_');
}

export const checkAddress = (origin: string, bundle: Bundle, copy: number | undefined) =>
  `${origin}/check/${bundle.id ?? ''}/${markOf(bundle)}${copy ? `?copy=${copy}` : ''}`;

export const copyNumberOf = (copy: Communication) => extensionOf(copy, 'copy-number')?.valueInteger ?? 0;

export const copiesOf = (consult: Consult) =>
  consult.communications.filter((one) => codeOf(one.category, 'communication') === 'print-copy').sort((a, b) => copyNumberOf(a) - copyNumberOf(b));

/** Takes the step and answers with the number that the server gave to this copy. */
export function useRecordPrint(consult: Consult | undefined, ownPost: string) {
  const client = useQueryClient();
  return useMutation({
    mutationFn: async ({ variant, pages }: { variant: Variant; pages: number }): Promise<number> => {
      if (!consult) throw new Error('no consult');
      await takeTransition(consult.task, {
        resourceType: 'Parameters',
        parameter: [{ name: 'transition', valueCode: 'print' }, { name: 'variant', valueCode: variant }, { name: 'pages', valueInteger: pages }],
      });
      const [copies = []] = await searchMany([{ type: 'Communication', parameters: { encounter: consult.task.encounter?.reference, category: `${codes('communication')}|print-copy`, _count: 200 } }]);
      const own = (copies as Communication[]).filter((one) => one.sender?.reference === `PractitionerRole/${ownPost}`);
      return Math.max(0, ...own.map(copyNumberOf));
    },
    onSettled: () => void client.invalidateQueries({ predicate: ({ queryKey }) => ['consult', 'transitions'].includes(String(queryKey[0])) }),
  });
}
