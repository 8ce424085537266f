// Command controller-runtime starts work when an EvsJob completed: a Job that gets the ids of its volumes.
//
// It decides by the condition Complete alone, and only where that speaks of the spec as it is now. What it missed while
// it was down it does at its next start; what it did it does not do again, for the Job is named after the EvsJob's uid.
// It needs the rights to read EvsJobs and to create Jobs. --namespace limits it to one namespace.
package main

import (
	"context"
	"flag"
	"log"
	"strings"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"
)

var evsJobKind = schema.GroupVersionKind{Group: "evs-operator.dev", Version: "v1alpha1", Kind: "EvsJob"}

// evsJobStatus is what we read of an EvsJob's status.
type evsJobStatus struct {
	VolumeIDs  []string           `json:"volumeIds"`
	Conditions []metav1.Condition `json:"conditions"`
}

type reconciler struct{ client.Client }

func main() {
	namespace := flag.String("namespace", "", "only this namespace")
	flag.Parse()
	ctrl.SetLogger(zap.New())

	options := ctrl.Options{Metrics: metricsserver.Options{BindAddress: "0"}}
	if *namespace != "" {
		options.Cache.DefaultNamespaces = map[string]cache.Config{*namespace: {}}
	}
	manager, err := ctrl.NewManager(ctrl.GetConfigOrDie(), options)
	if err != nil {
		log.Fatal(err)
	}
	err = ctrl.NewControllerManagedBy(manager).Named("evsjob").For(newEvsJob()).Complete(&reconciler{manager.GetClient()})
	if err != nil {
		log.Fatal(err)
	}
	if err := manager.Start(ctrl.SetupSignalHandler()); err != nil {
		log.Fatal(err)
	}
}

// Reconcile creates the Job once the EvsJob completed.
func (r *reconciler) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	evsJob := newEvsJob()
	if err := r.Get(ctx, request.NamespacedName, evsJob); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	var status evsJobStatus
	raw, _, _ := unstructured.NestedMap(evsJob.Object, "status")
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(raw, &status); err != nil {
		return ctrl.Result{}, err
	}
	complete := meta.FindStatusCondition(status.Conditions, "Complete")
	if complete == nil || complete.Status != metav1.ConditionTrue || complete.ObservedGeneration != evsJob.GetGeneration() {
		return ctrl.Result{}, nil // the next change of the EvsJob brings us back
	}
	return ctrl.Result{}, client.IgnoreAlreadyExists(r.Create(ctx, workFor(evsJob, status.VolumeIDs)))
}

// workFor is your part: here a Job that prints the volume ids.
func workFor(evsJob *unstructured.Unstructured, volumeIDs []string) *batchv1.Job {
	owner := metav1.NewControllerRef(evsJob, evsJobKind)
	owner.BlockOwnerDeletion = nil // which needs rights on the EvsJob that we do not ask for
	return &batchv1.Job{
		ObjectMeta: metav1.ObjectMeta{
			Namespace:       evsJob.GetNamespace(),
			Name:            "use-volumes-" + string(evsJob.GetUID()),
			OwnerReferences: []metav1.OwnerReference{*owner},
		},
		Spec: batchv1.JobSpec{Template: corev1.PodTemplateSpec{Spec: corev1.PodSpec{
			RestartPolicy: corev1.RestartPolicyOnFailure,
			Containers: []corev1.Container{{
				Name:    "use-volumes",
				Image:   "busybox:1.37",
				Command: []string{"sh", "-c", "echo $VOLUME_IDS"},
				Env:     []corev1.EnvVar{{Name: "VOLUME_IDS", Value: strings.Join(volumeIDs, " ")}},
			}},
		}}},
	}
}

func newEvsJob() *unstructured.Unstructured {
	evsJob := &unstructured.Unstructured{}
	evsJob.SetGroupVersionKind(evsJobKind)
	return evsJob
}
