// Views of the list kept by name: a tab and an urgency, never what was searched for.
import { Suspense, useState } from 'react';
import { useTranslation } from '../i18n';
import { PushpinOutlined } from '../parts/icons';
import { Menu } from '../parts/menu';
import { problemText } from '../parts/problem';
import { toast } from '../parts/toast';
import { usePersonal, type SavedView } from '../personal';
import { withKit } from '../with-kit';

const ViewName = withKit(async () => ({ default: (await import('./view-name')).ViewName }));

interface SavedViewsProps { query: string; suggested: string; onOpen: (query: string) => void }

export function SavedViews({ query, suggested, onOpen }: SavedViewsProps) {
  const { t } = useTranslation();
  const { personal, keep } = usePersonal();
  const [naming, setNaming] = useState(false);
  const { views } = personal;
  const change = (next: (views: SavedView[]) => SavedView[], said: string, done?: () => void) =>
    keep.mutate((now) => ({ ...now, views: next(now.views) }), {
      onSuccess: () => {
        toast.success(said);
        done?.();
      },
      onError: (error) => toast.error(problemText(error, t).title),
    });
  const save = (name: string) => change((now) => [...now.filter((view) => view.name !== name), { name, query }], t('views.saved'), () => setNaming(false));
  const remove = (name: string) => change((now) => now.filter((one) => one.name !== name), t('views.removed'));
  return (
    <>
      <Menu className="lb lb-default lb-middle" action="views" groups={[
        { items: views.map((view) => ({ key: `open:${view.name}`, label: view.name, onClick: () => onOpen(view.query) })) },
        { items: [{ key: 'save', label: t('views.save'), onClick: () => setNaming(true) }] },
        { title: t('views.remove'), items: views.map((view) => ({ key: `remove:${view.name}`, label: view.name, onClick: () => remove(view.name) })) },
      ]}>
        <PushpinOutlined aria-hidden /> <span>{t('views.title')}{views.length > 0 ? ` ${views.length}` : ''}</span>
      </Menu>
      {naming ? <Suspense><ViewName suggested={suggested} saving={keep.isPending} onSave={save} onClose={() => setNaming(false)} /></Suspense> : null}
    </>
  );
}
