// From the draft to its signature: what is written is saved first, then the dialog opens over what the server holds.
import { useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import type { Transition } from '../consult/transitions';

interface Signing { open: Transition | undefined; busy: boolean; begin: () => void; close: () => void }

export function useSigning(flush: () => Promise<void>, taskId: string | undefined, transition: Transition | undefined): Signing {
  const client = useQueryClient();
  const [open, setOpen] = useState<Transition>();
  const [busy, setBusy] = useState(false);
  const begin = async () => {
    setBusy(true);
    try {
      await flush();
      await client.refetchQueries({ queryKey: ['consult', taskId] });
      setOpen(transition);
    } catch {
      // Not saved, so not signed: the note beside the button says why.
    } finally {
      setBusy(false);
    }
  };
  return { open, busy, begin: () => void begin(), close: () => setOpen(undefined) };
}
