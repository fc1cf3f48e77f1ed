// Tells the waiting side, once, that this expert has the images open (the step `open-images`).
import { useQueryClient } from '@tanstack/react-query';
import { useEffect, useRef } from 'react';
import type { Consult } from '../consult/data';
import { useTransitions } from '../consult/transitions';
import { takeTransition } from '../fhir';
import { useLanguage } from '../i18n';

export function useOpenedImages(consult: Consult, seen: boolean): void {
  const client = useQueryClient();
  const { data: transitions = [] } = useTransitions(consult.task, useLanguage());
  const told = useRef(false);
  const due = seen && transitions.some((one) => one.name === 'open-images' && one.allowed);
  const { task } = consult;
  useEffect(() => {
    if (!due || told.current) return;
    told.current = true;
    takeTransition(task, { resourceType: 'Parameters', parameter: [{ name: 'transition', valueCode: 'open-images' }] }).then(
      () => void client.invalidateQueries({ queryKey: ['consult', task.id] }),
      () => undefined, // a notice to others: that it failed is nothing that the reader must deal with
    );
  }, [client, due, task]);
}
